"""The command `restore`."""

import asyncio
import json
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import click
from msgspec.structs import replace

from domain.audit import ActName
from domain.errors import StorageUnavailable
from domain.inspection import DatabaseUnreachable, InspectionFailed
from domain.stored_facts import Contents
from entrypoints.cli.consent import Loss, consent_of, dry_run_option, require_consent, yes_option
from entrypoints.cli.database import command_database, patient
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option
from entrypoints.cli.restore_report import Present, Until, facts_of_restore, loss, text
from entrypoints.cli.staging import Staged, facts_of, require_embedded, staged, step
from entrypoints.server.data_dir import DataDir, DataDirError, DataDirInUse
from entrypoints.server.database import ServerFailed, running
from entrypoints.settings.secret import Secret
from entrypoints.settings.settings import Settings

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands

_LATEST: Literal["latest"] = "latest"


def _until(text: str) -> Until:
    """Return the time up to which to restore; raises BadParameter."""
    if text == _LATEST:
        return _LATEST
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise click.BadParameter(
            f"{text!r} is not a time with its zone; write 2026-11-27T14:30:00Z, or latest for all archived WAL"
        )
    return at


@click.command(
    epilog=examples(
        "pglambda restore /var/backups/pglambda/pglambda-20261127T143000Z.tar.gz --dry-run",
        "pglambda restore backup.tar.gz --until 2026-11-27T14:30:00Z",
        "age -d -i key.txt backup.tar.gz.age | pglambda restore - --yes",
    )
)
@click.argument("source", type=click.Path(path_type=Path, allow_dash=True, exists=True, dir_okay=False))
@click.option(
    "--until",
    type=_until,
    metavar="TIME|latest",
    help="Replay archived WAL (WAL_ARCHIVE_DIR) up to this time. By default the backup is restored as it ended.",
)
@dry_run_option
@yes_option
@output_option
@click.pass_context
def restore(  # noqa: PLR0913, PLR0917  # one for each argument and option
    context: click.Context, source: Path, until: Until | None, dry_run: bool, yes: bool, output: str
) -> None:
    """Restore a backup, to its end or to a point in time.

    SOURCE is a file from `pglambda backup`, or - for standard input. Stop the service first; --dry-run, which only
    checks the backup, may run beside it. The backup is restored into a scratch folder under DATA_DIR, where its server
    starts and all checksums, tables and indexes are checked. Only then it takes the place of the data folder. The
    former data folder is kept beside it, named postgres.old-1, -2 and so on.

    The command asks before it replaces a database. It says how many sessions, executions and API keys are newer than
    those in the backup: these are lost. If the command is killed, nothing is lost; run it again.

    Restore only backups that you trust: they decide what the server runs.
    """
    with failures_reported(), _unreadable_reported():
        settings, container = settings_in_force(), container_of(context)
        require_embedded(settings)
        if until is not None and settings.wal_archive_dir is None:
            raise click.UsageError("--until needs the archived WAL. Set WAL_ARCHIVE_DIR as for the service.")
        consent = None if dry_run else consent_of(yes=yes)
        stopped = nullcontext() if dry_run else _stopped_service(settings.data_dir)
        with stopped, _opened(source) as (stream, size_bytes):
            found = _restored(container, settings, (stream, size_bytes), until, consent)
    click.echo(json.dumps(found, indent=2) if Output(output) is Output.JSON else text(found))


def _restored(
    container: "type[Commands]",
    settings: Settings,
    source: tuple[IO[bytes], int | None],
    until: Until | None,
    consent: Collection[str] | None,
) -> dict[str, Any]:
    """Restore if there is consent; None checks and counts only."""
    from entrypoints.composition.commands import RecoveryTarget  # noqa: PLC0415  # the CLI imports it only when needed

    with staged(container, settings, *source, RecoveryTarget(until), durable=consent is not None) as backup:
        _require_known(backup)
        present = _present(container, settings, backup.contents, beside=consent is None)
        facts = facts_of_restore(backup, present, until)
        if consent is None:
            return {**facts, "dry_run": True}
        if present is not None:
            require_consent([Loss(loss(facts, present, settings.data_dir))], consent)
        _record(container, settings, backup, facts)
        kept = backup.restoration.put_in_place()
        return {**facts, "dry_run": False, "former_folder": kept and str(kept)}


def _require_known(backup: Staged) -> None:
    if backup.schema.unknown:
        raise click.ClickException(
            f"The backup has migrations that this release does not know: {', '.join(backup.schema.unknown)}. Nothing "
            "was changed. Restore it with the release that made it, or a newer one."
        )


def _present(
    container: "type[Commands]", settings: Settings, restored: Contents | None, *, beside: bool
) -> Present | None:
    """Return what the restore replaces; None if there is no database. `beside` a service, its server is used."""
    server = container(settings=settings).embedded_postgres()
    if not server.exists:
        return None
    step("Counting what the present database holds")
    after = None if restored is None else restored.newest_id
    try:
        with _beside(container, settings) if beside else running(server) as url:
            return Present(asyncio.run(facts_of(container, settings, url, after))[1])
    except (ServerFailed, DataDirError, DatabaseUnreachable, InspectionFailed) as error:
        return Present(None, str(error))


@contextmanager
def _beside(container: "type[Commands]", settings: Settings) -> Iterator[str]:
    with command_database(container, settings) as commands:
        database_url = commands.settings().database_url
        assert database_url is not None
        yield database_url.reveal()


def _record(container: "type[Commands]", settings: Settings, backup: Staged, facts: dict[str, Any]) -> None:
    """Record the restore in the restored database; a restore is valid without its record."""
    with running(backup.restoration.server()) as url:
        commands = container(settings=replace(patient(settings), database_url=Secret(url)))
        try:
            asyncio.run(_recorded(commands, facts))
        except (StorageUnavailable, RuntimeError) as error:
            click.echo(f"The audit record has no entry of this restore: {error}", err=True)


async def _recorded(commands: "Commands", facts: dict[str, Any]) -> None:
    details = {name: facts[name] for name in ("backup_began_at", "until", "lost")}
    async with commands.database_access().opened():
        await commands.clock().settle_anew()
        act = commands.new_act(ActName.DATABASE_RESTORE)
        await commands.database_acts().record(act, str(commands.settings().data_dir), details)


@contextmanager
def _stopped_service(folder: Path) -> Iterator[None]:
    try:
        held = DataDir.hold(folder)
    except DataDirInUse as error:
        raise click.ClickException(
            f"The service or a command with process id {error.pid} uses DATA_DIR {folder}, and a restore replaces its "
            "database. Stop it first. Nothing was changed."
        ) from None
    try:
        yield
    finally:
        held.release()


@contextmanager
def _opened(source: Path) -> Iterator[tuple[IO[bytes], int | None]]:
    """Yield the stream of a backup and its size; that of standard input is not known."""
    if str(source) == "-":
        yield sys.stdin.buffer, None
        return
    with source.open("rb") as file:
        yield file, source.stat().st_size


@contextmanager
def _unreadable_reported() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise click.ClickException(
            f"{error}. The data folder was not changed. Run the command as the user of the service."
        ) from error
