"""The database that a command works on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from entrypoints.commands.wiring import Wiring
from entrypoints.secret import Secret
from entrypoints.settings import Settings
from entrypoints.supervision.data_dir import DataDir, DataDirError, DataDirInUse, published_url
from entrypoints.supervision.database_server import running

_POLL_S = 0.05


@contextmanager
def command_database(settings: Settings, wiring: Wiring, start_timeout_s: float = 10.0) -> Iterator[Settings]:
    """Yield settings that name a database that takes connections.

    That is DATABASE_URL, else the server that a running service keeps under DATA_DIR, else that server started for
    as long as the command takes; a service that starts is waited for. Raises DataDirError or ServerFailed.
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
        with running(wiring.embedded_postgres(settings)) as url:
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
