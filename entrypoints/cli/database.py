"""The database that a command works on."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import click
from msgspec.structs import replace

from domain.audit import ActName
from domain.errors import Unavailable
from domain.identity import Owner
from entrypoints.server.data_dir import (
    DataDir,
    DataDirError,
    DataDirInUse,
    KeyName,
    kept_key,
    published_url,
)
from entrypoints.server.database import running
from entrypoints.settings.secret import Secret
from entrypoints.settings.settings import Settings

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands

COMMAND_TIMEOUT_MS = 20_000
_POLL_S = 0.05
_NO_DATABASE = (
    "There is no database under {}. `pglambda serve` creates it when it starts for the first time. If the service uses "
    "another one, set DATA_DIR or DATABASE_URL as for the service."
)
_NOT_CONNECTED = (
    "The PostgreSQL of the running pglambda with process id {} did not accept connections within {:g} s. That process "
    "restarts it whenever it ends. Read the end of {}/postgres.log, and remove what the log reports."
)


def patient(settings: Settings, timeout_ms: int = COMMAND_TIMEOUT_MS) -> Settings:
    """Return the settings with a longer time limit for statements: only an operator waits for a command."""
    return replace(settings, request_timeout_ms=max(settings.request_timeout_ms, timeout_ms))


async def record_act(
    commands: "Commands", name: ActName, subject: UUID, details: Mapping[str, object], owner: Owner | None
) -> None:
    """Record what a command has done; it is done also if that fails."""
    try:
        await commands.database_acts().record(commands.new_act(name), str(subject), details, owner)
    except Unavailable as error:
        click.echo(f"The audit record has no entry of this: {error.message}", err=True)


@contextmanager
def command_database(
    container: "type[Commands]", settings: Settings, start_timeout_s: float = 10.0, *, may_make: bool = False
) -> Iterator["Commands"]:
    """Yield the container with settings that name a database which accepts connections.

    That database is the first of: DATABASE_URL; the server of a running service under DATA_DIR (the command waits
    for a service that is starting); the same server, started until the command ends. If there is no database under
    DATA_DIR, `may_make` allows the command to create one. Raises DataDirError or ServerFailed.
    """
    if not settings.embedded:
        yield container(settings=settings)
        return
    try:
        data_dir = DataDir.hold(settings.data_dir)
    except DataDirInUse as held:
        yield _at(container, settings, _running_url(settings, held, start_timeout_s))
        return
    try:
        server = container(settings=settings).embedded_postgres()
        if not (may_make or server.exists):
            raise DataDirError(_NO_DATABASE.format(settings.data_dir))
        with running(server) as url:
            yield _at(container, settings, url)
    finally:
        data_dir.release()


def _running_url(settings: Settings, held: DataDirInUse, timeout_s: float) -> str:
    """Wait a while for a service that is starting."""
    ends_at = time.monotonic() + timeout_s
    while (url := published_url(settings.data_dir)) is None:
        if time.monotonic() > ends_at:
            raise DataDirError(_NOT_CONNECTED.format(held.pid, timeout_s, settings.data_dir))
        time.sleep(_POLL_S)
    return url


def _at(container: "type[Commands]", settings: Settings, url: str) -> "Commands":
    webhook_key = settings.webhook_key or _kept(settings, "webhook")
    secrets_key = settings.secrets_key or _kept(settings, "secrets")
    url_here = Secret(url)
    return container(
        settings=replace(settings, database_url=url_here, webhook_key=webhook_key, secrets_key=secrets_key)
    )


def _kept(settings: Settings, name: KeyName) -> Secret | None:
    kept = kept_key(settings.data_dir, name)
    return None if kept is None else Secret(kept)
