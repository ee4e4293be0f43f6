"""A backup, restored into the scratch folder of DATA_DIR: to check it, or to put it in place."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING
from uuid import UUID

import click
from attrs import frozen
from msgspec.structs import replace

from domain.identity import NO_ID
from domain.inspection import SchemaFacts
from domain.stored_facts import Contents
from entrypoints.cli.database import patient
from entrypoints.server.data_dir import DataDir, DataDirInUse
from entrypoints.server.database import running
from entrypoints.settings.secret import Secret
from entrypoints.settings.settings import Settings

if TYPE_CHECKING:
    from entrypoints.composition.commands import BackupLabel, Commands, RecoveryTarget, Restoration

DISK_RESERVE_BYTES = 256 * 1024**2
"""The free space that stays on a disk."""

_COUNT_TIMEOUT_S = 300.0
_COUNT_BUDGET_MS = 1_200_000
"""The time limit of a statement is a quarter of this."""


@frozen
class Staged:
    """A restored backup in the scratch folder; its server has been stopped."""

    restoration: "Restoration"
    label: "BackupLabel"
    schema: SchemaFacts
    contents: Contents | None
    """None if the backup has no schema."""


def require_embedded(settings: Settings) -> None:
    """Raise ClickException if the service uses a server of others, or if this is not the user of the service."""
    if not settings.embedded:
        raise click.ClickException(
            "DATABASE_URL is set, and this command works on the embedded server only. Back up that server with its own "
            "tools; docs/backup.md has a guide. To use the embedded server, unset DATABASE_URL."
        )
    _require_own(settings.data_dir)


def _require_own(data_dir: Path) -> None:
    """Refuse root in the folder of another user: files that root makes there lock the service out."""
    found = next((path for path in (data_dir / "lock", data_dir) if path.exists()), None)
    if os.geteuid() == 0 and found is not None and (uid := found.stat().st_uid) != 0:
        raise click.ClickException(
            f"DATA_DIR {data_dir} is used by the service of user id {uid}, which could not use files that root makes "
            f"there. Nothing was changed. Run the command as that user: sudo -u '#{uid}' --preserve-env pglambda ..."
        )


@contextmanager
def scratch_held(folder: Path) -> Iterator[None]:
    """Hold the scratch folder: one backup is checked, or restored, at a time."""
    try:
        held = DataDir.hold(folder)
    except DataDirInUse as error:
        raise click.ClickException(
            f"A backup or a restore with process id {error.pid} uses {folder}. Wait until it has ended."
        ) from None
    try:
        yield
    finally:
        held.release()


@contextmanager
def staged(  # noqa: PLR0913  # a source, a target, and what to do with the result
    container: "type[Commands]",
    settings: Settings,
    source: IO[bytes],
    source_bytes: int | None,
    target: "RecoveryTarget",
    *,
    durable: bool,
) -> Iterator[Staged]:
    """Restore a backup into the scratch folder, check it, and yield it; afterwards the folder is empty.

    `source_bytes` is the size of the source, if it is known. Raises RuntimeError or ServerFailed.
    """
    restoration = container(settings=settings).restoration(durable=durable)
    with scratch_held(restoration.scratch):
        try:
            yield _restored(container, settings, restoration, (source, source_bytes), target)
        finally:
            restoration.remove()


def _restored(
    container: "type[Commands]",
    settings: Settings,
    restoration: "Restoration",
    source: tuple[IO[bytes], int | None],
    target: "RecoveryTarget",
) -> Staged:
    with progress("Unpacking", source[1]) as advance:
        label = restoration.unpack(source[0], advance)
    step("Verifying checksums")
    restoration.verify()
    step("Replaying WAL")
    restoration.recover(label, target)
    server = restoration.server()
    with running(server) as url:
        step("Checking tables and indexes")
        restoration.check_tables(server)
        schema, contents = asyncio.run(facts_of(container, settings, url))
    return Staged(restoration, label, schema, contents)


async def facts_of(
    container: "type[Commands]", settings: Settings, url: str, after: UUID | None = None
) -> tuple[SchemaFacts, Contents | None]:
    """Return the migrations and the contents of the database; raises DatabaseUnreachable or InspectionFailed."""
    given = replace(patient(settings, _COUNT_BUDGET_MS), database_url=Secret(url))
    async with container(settings=given).database_inspection(timeout_s=_COUNT_TIMEOUT_S) as inspector:
        schema = await inspector.schema()
        return schema, await inspector.contents(after or NO_ID) if schema.applied else None


def require_space(needed_bytes: Mapping[Path, int]) -> None:
    """Raise ClickException unless each disk has room for all of its folders together, and DISK_RESERVE_BYTES."""
    disks: dict[int, list[Path]] = {}
    for folder in needed_bytes:
        disks.setdefault(folder.stat().st_dev, []).append(folder)
    for folders in disks.values():
        free = shutil.disk_usage(folders[0]).free
        needed = sum(needed_bytes[folder] for folder in folders) + DISK_RESERVE_BYTES
        if free < needed:
            raise click.ClickException(
                f"The disk of {' and '.join(map(str, folders))} has {free:,} free bytes, and {needed:,} are needed. "
                "Nothing was written. Make room, or name another disk."
            )


@contextmanager
def progress(label: str, size_bytes: int | None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error, and yield what advances it; without a size only the label is shown."""
    if size_bytes is None:
        step(label)
        yield lambda _: None
        return
    with click.progressbar(length=size_bytes, label=label, file=sys.stderr) as bar:
        yield bar.update


def step(label: str) -> None:
    """Say on standard error what is being done."""
    click.echo(f"{label} ...", err=True)


_NAMES = {
    "sessions": ("session", "sessions"),
    "executions": ("execution", "executions"),
    "functions": ("version of functions", "versions of functions"),
    "api_keys": ("API key", "API keys"),
}


def numbers(contents: Contents | None) -> Mapping[str, int] | None:
    """Return the numbers of what is stored, by name; None if there is no schema."""
    return None if contents is None else {name: getattr(contents, name) for name in _NAMES}


def listed(counts: Mapping[str, int] | None) -> str:
    """Return these numbers as text."""
    if counts is None:
        return "no schema"
    return ", ".join(f"{counts[name]:,} {nouns[counts[name] != 1]}" for name, nouns in _NAMES.items() if name in counts)
