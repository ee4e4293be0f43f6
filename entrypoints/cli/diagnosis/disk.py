"""The room on the disk, and within the limits of the operating system."""

import shutil
from collections.abc import Iterator

from attrs import frozen

from entrypoints.cli.diagnosis.finding import Finding, note, ok, problem, warning
from entrypoints.server.descriptors import attainable, descriptors_needed
from entrypoints.settings.settings import Settings

DISK, PROCESS = "disk", "process"
_MIB, _GIB = 1024**2, 1024**3
_FREE_MIN = 256 * _MIB
_FREE_LOW = 2 * _GIB
_FREE_SHARE_LOW = 0.05
_BUDGET_SHARE_HIGH = 0.9


@frozen
class HostFacts:
    """This machine: the folder of the service, the disk that it is on, and how many files a process may open."""

    data_dir: str
    disk_free_bytes: int
    disk_size_bytes: int
    descriptors_max: int | None


def host_facts(settings: Settings) -> HostFacts:
    """Return the facts about this machine; raises OSError if the disk cannot be read."""
    folder = next(path for path in (settings.data_dir, *settings.data_dir.parents) if path.exists())
    disk = shutil.disk_usage(folder)
    return HostFacts(
        data_dir=str(settings.data_dir),
        disk_free_bytes=disk.free,
        disk_size_bytes=disk.total,
        descriptors_max=attainable(descriptors_needed(settings.max_connections, settings.max_warm_workers)),
    )


def judge_host(facts: HostFacts, settings: Settings) -> list[Finding]:
    """Return what is to be said of the disk under DATA_DIR and of the limits of a process."""
    return [*_disk(facts, settings), *_descriptors(facts, settings)]


def _disk(facts: HostFacts, settings: Settings) -> Iterator[Finding]:
    holds = "the database" if settings.embedded else "copies of interpreters"
    seen = f"{_size(facts.disk_free_bytes)} of {_size(facts.disk_size_bytes)} are free for {facts.data_dir} ({holds})"
    remedy = "Free some, or set DATA_DIR to another disk. `pglambda storage` says what takes the room, and how fast."
    if facts.disk_free_bytes < _FREE_MIN:
        why = "On a full disk every write is refused." if settings.embedded else "Interpreters cannot be copied there."
        yield problem(DISK, seen, why, remedy)
    elif settings.embedded and (
        facts.disk_free_bytes < _FREE_LOW or facts.disk_free_bytes < facts.disk_size_bytes * _FREE_SHARE_LOW
    ):
        yield warning(DISK, seen, "On a full disk every write is refused.", remedy)
    else:
        yield ok(DISK, seen)


def _descriptors(facts: HostFacts, settings: Settings) -> Iterator[Finding]:
    needed, granted = descriptors_needed(settings.max_connections, settings.max_warm_workers), facts.descriptors_max
    if granted is not None and granted < needed:
        yield note(
            PROCESS,
            f"a process may open {granted} files here; MAX_CONNECTIONS ({settings.max_connections}) and MAX_WARM_WORKERS"
            f" ({settings.max_warm_workers}) need {needed}",
            "An HTTP worker keeps fewer connections than that, and the sandbox fewer warm workers.",
            f"Raise the hard limit to {needed} (LimitNOFILE in systemd, ulimit -Hn), or lower these settings.",
        )
    else:
        yield ok(PROCESS, f"a process may open {granted or 'any number of'} files")


def judge_stored(size_bytes: int, settings: Settings) -> list[Finding]:
    """Return what is to be said of the budget."""
    stored = f"{_size(size_bytes)} are stored"
    if settings.storage_max_gb is None:
        return [note(DISK, f"{stored}; STORAGE_MAX_GB is not set, so nothing is shortened for its size")]
    share = size_bytes / (settings.storage_max_gb * _GIB)
    seen = f"{stored}, {share:.0%} of STORAGE_MAX_GB"
    if share <= _BUDGET_SHARE_HIGH:
        return [ok(DISK, seen)]
    return [
        warning(
            DISK,
            seen,
            "Over it the oldest days of the history go before their retention is over.",
            "Raise STORAGE_MAX_GB, lower HISTORY_RETENTION_DAYS, or set HISTORY=summary.",
        )
    ]


def _size(size_bytes: float) -> str:
    return f"{size_bytes / _GIB:,.1f} GiB" if size_bytes >= _GIB else f"{size_bytes / _MIB:,.1f} MiB"
