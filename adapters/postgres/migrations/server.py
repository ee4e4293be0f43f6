"""What a server must be and allow so that migrations can be applied."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from adapters.postgres.connections.connection import Connection
from adapters.postgres.migrations.down import MigrationFailed

_VERSION_MIN = 150000


class StepForbidden(MigrationFailed):
    """The role or the server may not apply a step; the text has the server's reason and advice."""


class UnsupportedServer(MigrationFailed):
    """The server is too old for the statements, or its encoding cannot hold every script."""


def require_usable(connection: Connection) -> None:
    """Raise UnsupportedServer if the connection's server is too old or its encoding is not UTF-8."""
    found = connection.info.server_version
    if found < _VERSION_MIN:
        raise UnsupportedServer(
            f"The database runs PostgreSQL {found // 10000}, but {_VERSION_MIN // 10000} or later is required. "
            "Use a newer server."
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in ("UTF8", None):
        raise UnsupportedServer(
            f"The database has the encoding {encoding}, which cannot store every script. "
            "Create a database with ENCODING 'UTF8'."
        )


@contextmanager
def explained_refusals() -> Iterator[None]:
    """Raise StepForbidden, with advice, for what the server refuses because of the role, a name or a read-only mode."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise _forbidden(error, "Migrate as the role that owns the database, or grant it to this one.") from error
    except (psycopg.errors.DuplicateTable, psycopg.errors.DuplicateObject) as error:
        advice = (
            "The schema `meta` was not created by these migrations. Use a database of its own for the service. If "
            "this is that of lambda-microservice, `pglambda takeover plan` says how to take its sessions over."
        )
        raise _forbidden(error, advice) from error
    except psycopg.errors.ReadOnlySqlTransaction as error:
        advice = "Name a writable server in DATABASE_URL. `pglambda doctor` says why this one is read-only."
        raise _forbidden(error, advice) from error


def _forbidden(error: psycopg.Error, advice: str) -> StepForbidden:
    return StepForbidden(f"PostgreSQL refused: {error.diag.message_primary or type(error).__name__}. {advice}")
