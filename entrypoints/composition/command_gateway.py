"""A gateway to the database, for commands that connect for one task."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from attrs import evolve, frozen

from adapters.postgres.clock.disciplined import DisciplinedClock
from adapters.postgres.connections.errors import missing_right
from adapters.postgres.gateway import Gateway
from adapters.postgres.migrations.schema import SchemaCheck
from adapters.postgres.statements import Statements, load_statements
from entrypoints.composition.database import disciplined_clock
from entrypoints.composition.options import gateway_options
from entrypoints.settings.settings import Settings

_REACH_TIMEOUT_S = 10.0
"""After that a database is away, however long the task itself may take."""


@frozen
class Connected:
    """A gateway to a database of this release's schema, and the database's clock."""

    gateway: Gateway
    statements: Statements
    clock: DisciplinedClock


@asynccontextmanager
async def connected(
    settings: Settings, timeout_s: float, reach_timeout_s: float = _REACH_TIMEOUT_S
) -> AsyncIterator[Connected]:
    """Yield the database; raises StorageUnavailable, or RuntimeError without this release's schema or the right to it.

    A statement may take `timeout_s`; that the database is away is known sooner, after `reach_timeout_s`.
    """
    gateway, statements = Gateway(evolve(gateway_options(settings), request_timeout_s=timeout_s)), load_statements()
    await gateway.open()
    try:
        with rights_told():
            await gateway.fetch(statements.migrations.select_migrations_exist, {}, timeout_s=reach_timeout_s)
            await require_schema(gateway, statements)
            clock = disciplined_clock(gateway, statements.clock.select_clock)
            await clock.measure()
            yield Connected(gateway, statements, clock)
    finally:
        await gateway.close()


async def require_schema(gateway: Gateway, statements: Statements) -> None:
    """Raise RuntimeError when the database has not this release's schema."""
    pending = await SchemaCheck(gateway, statements.migrations).pending()
    if pending:
        raise RuntimeError(f"The schema lacks {', '.join(pending)}. Run `pglambda migrate up` first.")


@contextmanager
def rights_told() -> Iterator[None]:
    """Turn a right that the role lacks into a text for operators."""
    try:
        yield
    except Exception as error:
        refusal = missing_right(error)
        if refusal is None:
            raise
        raise RuntimeError(f"PostgreSQL refused it: {refusal}. `pglambda doctor` says what to grant.") from error
