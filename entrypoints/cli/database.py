"""The database that a command works on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from entrypoints.cli.wiring import Wiring
from entrypoints.server.data_dir import DataDir, DataDirError, DataDirInUse, published_url
from entrypoints.server.database_server import running
from entrypoints.settings.secret import Secret
from entrypoints.settings.settings import Settings

_POLL_S = 0.05
_UNMADE = (
    "There is no database under {}. `pglambda serve` makes it at its first start; if there is one elsewhere, set DATA_DIR "
    "or DATABASE_URL as for the service."
)


@contextmanager
def command_database(
    settings: Settings, wiring: Wiring, start_timeout_s: float = 10.0, *, may_make: bool = False
) -> Iterator[Settings]:
    """Yield settings that name a database that takes connections.

    That is DATABASE_URL, else the server that a running service keeps under DATA_DIR, else that server started for
    as long as the command takes; a service that starts is waited for. Where there is none under DATA_DIR it is made if
    the command may do that. Raises DataDirError or ServerFailed.
    """
    if not settings.embedded:
        yield settings
        return
    try:
        data_dir = DataDir.hold(settings.data_dir)
    except DataDirInUse as held:
        yield _at(settings, _running_url(settings, held, start_timeout_s))
        return
    try:
        server = wiring.embedded_postgres(settings)
        if not (may_make or server.exists):
            raise DataDirError(_UNMADE.format(settings.data_dir))
        with running(server) as url:
            yield _at(settings, url)
    finally:
        data_dir.release()


def _running_url(settings: Settings, held: DataDirInUse, timeout_s: float) -> str:
    """Wait a while for a service that is starting."""
    ends_at = time.monotonic() + timeout_s
    while (url := published_url(settings.data_dir)) is None:
        if time.monotonic() > ends_at:
            raise DataDirError(f"{held} Its database takes no connections.")
        time.sleep(_POLL_S)
    return url


def _at(settings: Settings, url: str) -> Settings:
    return replace(settings, database_url=Secret(url))
