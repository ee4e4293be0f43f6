"""A gateway that is opened for one task, such as a command, after its schema was checked."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from attrs import define

from adapters.postgres.buckets.unknown_buckets import UnknownBuckets
from adapters.postgres.clock.disciplined import DisciplinedClock
from adapters.postgres.connections.errors import missing_right
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway
from adapters.postgres.migrations.schema import SchemaCheck
from domain.errors import StorageUnavailable

_REACH_TIMEOUT_S = 10.0
"""After this time the database counts as unreachable, however long the task itself may take."""


@define(eq=False)
class CheckedGateway:
    """Opens a gateway, checks that the database has this release's schema, and measures its clock."""

    _gateway: Gateway
    _schema: SchemaCheck
    _clock: DisciplinedClock
    _probe: Statement
    """The statement that shows whether the database responds."""

    _others: Sequence[Gateway] = ()
    """Further gateways that the clock needs."""

    _unknown_buckets: UnknownBuckets | None = None
    """For a task that knows no nodes: there must be none, because it would see a part of the database."""

    @asynccontextmanager
    async def opened(self, clock_samples: int = 1, reach_timeout_s: float = _REACH_TIMEOUT_S) -> AsyncIterator[None]:
        """Open the gateway, and close it at the end; more `clock_samples` make the clock more precise.

        Raises StorageUnavailable if the database is not reachable within `reach_timeout_s`. Raises RuntimeError with
        the remedy if migrations are pending, if there are buckets whose nodes are not known, or if the role lacks a
        right, also for statements of the body.
        """
        for each in (self._gateway, *self._others):
            await each.open()
        try:
            await self._gateway.fetch(self._probe, {}, timeout_s=reach_timeout_s)
            await self._require_schema()
            await self._require_nodes(reach_timeout_s)
            for _ in range(clock_samples):
                await self._clock.measure(settles=False)
            yield
        except StorageUnavailable as error:
            if (refusal := missing_right(error)) is None:
                raise
            raise RuntimeError(
                f"PostgreSQL refused a statement: {refusal}. Run `pglambda doctor`: it shows which rights to grant."
            ) from error
        finally:
            for each in (*self._others, self._gateway):
                await each.close()

    async def _require_schema(self) -> None:
        pending = (await self._schema.state()).pending
        if pending:
            raise RuntimeError(f"The schema lacks {', '.join(map(str, pending))}. Run `pglambda migrate up` first.")

    async def _require_nodes(self, timeout_s: float) -> None:
        if self._unknown_buckets is not None and await self._unknown_buckets.look(timeout_s):
            raise RuntimeError(
                "The database is divided into buckets, and DATABASE_NODES is not set, so this command would see only "
                "what `meta` has. Nothing was done. Set DATABASE_NODES as for the controllers, mostly to auto, and run "
                "the command again."
            )
