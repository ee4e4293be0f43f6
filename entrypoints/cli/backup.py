"""The command `backup`."""

import asyncio
import fcntl
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from domain.audit import ActName
from domain.errors import StorageUnavailable
from entrypoints.cli.database import command_database
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option
from entrypoints.cli.staging import Staged, listed, numbers, progress, require_embedded, require_space, staged
from entrypoints.settings.settings import Settings
from entrypoints.version import VERSION

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands

STANDARD_OUTPUT = Path("-")
_COMPRESSION_LEAST = 4
"""A compressed database is expected to need a quarter of its size. The write reports a disk that is full meanwhile."""

_GZIP_LEVEL, _GZIP_FORMAT = 1, 31
_PARTIAL = "pglambda-backup.partial"
_SECRETS = "It has scripts, contexts and hashes of API keys. Encrypt it before it leaves this machine."


@click.command(
    epilog=examples(
        "pglambda backup /var/backups/pglambda",
        "pglambda backup /mnt/backup/today.tar.gz",
        "pglambda backup - | age -r age1... > backup.tar.gz.age",
    )
)
@click.argument("target", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--no-compression", is_flag=True, help="Write a plain tar file; a compressed one is the default.")
@click.option("--no-check", is_flag=True, help="Skip the restore into a scratch folder that checks the backup.")
@output_option
@click.pass_context
def backup(context: click.Context, target: Path, no_compression: bool, no_check: bool, output: str) -> None:
    """Back up the embedded server while it serves.

    TARGET is a new file, a folder that gets a file with the time in its name, or - for standard output. Nothing is
    overwritten. The backup is one tar file of the whole server, consistent at the time at which it ends. It contains
    secrets: its file mode is 0600.

    The command then restores the backup into a scratch folder under DATA_DIR, starts it, compares all checksums, and
    checks all tables and indexes. This needs as much free space as the database. A backup on standard output is not
    checked: use `pglambda restore --dry-run`.

    If no service runs, the command starts the server until it ends.
    """
    with failures_reported(), _disk_failures_reported():
        settings = settings_in_force()
        require_embedded(settings)
        made = _made(container_of(context), settings, target, compressed=not no_compression, checked=not no_check)
    to_stdout = target == STANDARD_OUTPUT
    click.echo(json.dumps(made, indent=2) if Output(output) is Output.JSON else _text(made), err=to_stdout)


def _made(
    container: "type[Commands]", settings: Settings, target: Path, *, compressed: bool, checked: bool
) -> dict[str, Any]:
    """Back up, check and record; return the facts."""
    with command_database(container, settings) as commands:
        checks: Staged | None = None
        if target == STANDARD_OUTPUT:
            size_bytes = _to_stdout(commands, compressed=compressed)
        else:
            target, partial = _place_of(target, f"{commands.wall_clock().now():%Y%m%dT%H%M%SZ}", compressed=compressed)
            with _partial_file(partial, target) as file:
                size_bytes = _to_file(commands, file, settings if checked else None, compressed=compressed)
                checks = _checked(container, settings, partial, size_bytes) if checked else None
        contents = numbers(checks.contents) if checks else None
        made = {"file": str(target), "size_bytes": size_bytes, "checked": checks is not None, "contents": contents}
        asyncio.run(_record(commands, made))
    return made


def _to_stdout(commands: "Commands", *, compressed: bool) -> int:
    if sys.stdout.isatty():
        raise click.ClickException("A backup is binary, and standard output is a terminal. Redirect it to a program.")
    with commands.base_backup().opened(_label()) as (size_bytes, chunks):
        return _written(chunks, size_bytes, sys.stdout.buffer, compressed=compressed)


def _to_file(commands: "Commands", file: IO[bytes], checked_by: Settings | None, *, compressed: bool) -> int:
    with commands.base_backup().opened(_label()) as (size_bytes, chunks):
        needed = {Path(file.name).parent: size_bytes // _COMPRESSION_LEAST if compressed else size_bytes}
        if checked_by is not None:
            needed[checked_by.data_dir] = needed.get(checked_by.data_dir, 0) + size_bytes
        require_space(needed)
        written = _written(chunks, size_bytes, file, compressed=compressed)
    os.fsync(file.fileno())
    return written


def _label() -> str:
    return f"pglambda {VERSION}"


def _written(chunks: Iterable[bytes], size_bytes: int, file: IO[bytes], *, compressed: bool) -> int:
    """Write the chunks, and return the number of bytes that the file got."""
    written = 0
    with progress("Backing up", size_bytes) as advance:
        counted = _advancing(chunks, advance)
        for chunk in _gzipped(counted) if compressed else counted:
            written += file.write(chunk)
    file.flush()
    return written


def _advancing(chunks: Iterable[bytes], advance: Callable[[int], None]) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk
        advance(len(chunk))


def _gzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    compressor = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_FORMAT)
    yield from map(compressor.compress, chunks)
    yield compressor.flush()


def _checked(container: "type[Commands]", settings: Settings, file: Path, size_bytes: int) -> Staged:
    from entrypoints.composition.commands import RecoveryTarget  # noqa: PLC0415  # the CLI imports it only when needed

    with (
        file.open("rb") as source,
        staged(container, settings, source, size_bytes, RecoveryTarget(), durable=False) as found,
    ):
        return found


def _place_of(target: Path, now: str, *, compressed: bool) -> tuple[Path, Path]:
    """Return the file to make, and its name while it is incomplete; raises ClickException if the file exists."""
    suffix = "tar.gz" if compressed else "tar"
    in_folder = target.is_dir()
    final = target / f"pglambda-{now}.{suffix}" if in_folder else target
    if final.exists():
        raise click.ClickException(f"{final} exists, and a backup overwrites nothing. Name another file, or a folder.")
    if not final.parent.is_dir():
        raise click.ClickException(f"The folder {final.parent} does not exist. Make it, or name another one.")
    return final, final.with_name(_PARTIAL if in_folder else f"{final.name}.partial")


@contextmanager
def _partial_file(partial: Path, final: Path) -> Iterator[IO[bytes]]:
    """Yield a private file named `partial`, and rename it to `final` at the end; it is removed if the body fails.

    After a kill it stays, and the next backup to the same place overwrites it.
    """
    with open(partial, "r+b", opener=_private) as file:  # Path.open takes no opener
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.ClickException(f"Another backup writes {partial}. Wait until it has ended.") from None
        file.truncate(0)
        try:
            yield file
            partial.rename(final)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    _sync(final.parent)


def _private(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk_failures_reported() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise click.ClickException(
            "The program that reads standard output has ended, so the backup is incomplete. Correct that program."
        ) from None
    except OSError as error:
        raise click.ClickException(
            f"The backup cannot be written: {error}. No file was left. Make room or correct the reason, and repeat it."
        ) from error


async def _record(commands: "Commands", made: Mapping[str, Any]) -> None:
    """Record the act; a backup is valid without its record."""
    details = {name: made[name] for name in ("size_bytes", "checked")}
    try:
        async with commands.database_access().opened():
            await commands.database_acts().record(commands.new_act(ActName.DATABASE_BACKUP), _place(made), details)
    except (StorageUnavailable, RuntimeError) as error:
        click.echo(f"The audit record has no entry of this backup: {error}", err=True)


def _text(made: Mapping[str, Any]) -> str:
    checked = (
        f"Checked: it was restored into a scratch folder, and has {listed(made['contents'])}."
        if made["checked"]
        else "Not checked. `pglambda restore --dry-run` checks it."
    )
    return f"Backed up to {_place(made)} ({made['size_bytes']:,} bytes).\n{checked}\n{_SECRETS}"


def _place(made: Mapping[str, Any]) -> str:
    return "standard output" if made["file"] == str(STANDARD_OUTPUT) else made["file"]
