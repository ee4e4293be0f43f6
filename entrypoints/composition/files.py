"""The use cases of files, and their limits from the settings."""

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from domain.clock import Clock, IdGenerator
from domain.concurrency.background_tasks import BackgroundTasks
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.concurrency.fair_turns import FairTurns
from domain.files.ceiling import FilesCeiling
from domain.files.limits import FileLimits
from domain.files.ports import FileRepository
from domain.files.room import FileRoom, Measured
from domain.files.service import FileService
from domain.stats import StorageState
from domain.storage.storage import Part
from entrypoints.settings.settings import Settings

_TRANSFERS_MAX, _TRANSFERS_OF_OWNER_MAX = 64, 8
"""Uploads and downloads of one process; each takes up to 1 MiB of memory."""

_TURNS_MAX = 2
"""Statements with a chunk that run at once: DB_POOL_MAX counts all connections, and the others must not wait."""

_WAITING_BYTES_MAX = 64 * 1024**2


class _Budget(Protocol):
    """What measures the stored parts."""

    @property
    def state(self) -> StorageState | None:
        """The last measurement; None before the first one."""
        ...


def file_limits(settings: Settings) -> FileLimits:
    """Return the limits of files."""
    return FileLimits(
        size_max=settings.max_file_mb * 1024**2,
        owner_bytes_max=settings.max_files_mb_per_owner * 1024**2,
        bytes_max=int(settings.max_files_gb * 1024**3),
        retention=timedelta(seconds=settings.file_retention_seconds),
    )


def files_ceiling(settings: Settings) -> FilesCeiling:
    """Return how large the files of an execution may be."""
    return FilesCeiling(settings.script_files_mb, settings.script_files_max_mb)


def file_service(  # noqa: PLR0913, PLR0917  # as the container gives them
    settings: Settings, clock: Clock, ids: IdGenerator, files: FileRepository, storage: _Budget, tasks: BackgroundTasks
) -> FileService:
    """Return the use cases of files in one process."""
    limits = file_limits(settings)
    return FileService(
        clock=clock,
        ids=ids,
        files=files,
        limits=limits,
        room=FileRoom(limits, _measure(storage)),
        transfers=CapacityLimiter("the transfer of files", _TRANSFERS_MAX, _TRANSFERS_OF_OWNER_MAX),
        turns=FairTurns("the transfer of files", _TURNS_MAX, _TURNS_MAX, _WAITING_BYTES_MAX),
        tasks=tasks,
    )


def _measure(storage: _Budget) -> Callable[[], Measured]:
    def measured() -> Measured:
        state = storage.state
        return Measured() if state is None else Measured(state.stored.parts[Part.FILES].size_bytes, state.measured_at)

    return measured
