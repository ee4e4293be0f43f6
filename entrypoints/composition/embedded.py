"""The embedded server. This module imports little, because each start of a service waits for it."""

from adapters.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresOptions
from entrypoints.server.process import launch
from entrypoints.settings.settings import Settings


def embedded_options(settings: Settings) -> EmbeddedPostgresOptions:
    """Return the folders of the embedded server, and a limit for the connections of all processes."""
    return EmbeddedPostgresOptions(
        data_dir=settings.data_dir,
        wal_archive=settings.wal_archive_dir,
        connections_max=settings.database_connections,
    )


def embedded_server(settings: Settings) -> EmbeddedPostgres:
    """Return the server whose data are below DATA_DIR."""
    return EmbeddedPostgres(embedded_options(settings), launch)
