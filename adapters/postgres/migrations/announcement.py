"""The begin of new buckets, which all controllers are to know before it comes."""

import json
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

import psycopg
from attrs import define, evolve

from adapters.postgres.clock.probe import ServerClock
from adapters.postgres.connections.connection import Connection
from adapters.postgres.migrations.buckets import SCHEMA
from adapters.postgres.migrations.connections import MigrationConnections, fetch
from adapters.postgres.migrations.down import MigrationFailed
from adapters.postgres.migrations.options import MigrationOptions
from adapters.postgres.statements.catalogue import Statements
from domain.audit import UNNAMED, ActName, Actor
from domain.buckets.bucket_map import ANNOUNCED, FRESH
from domain.clock import Clock
from domain.identity import uuid7_at

OPTIONS = MigrationOptions(statement_timeout_s=2.0, socket_timeout_s=10.0)
"""The buckets are rolled back unless their commit is sent within 10 s, and FRESH is left before they begin.

After FRESH a controller that could not read them refuses calls.
"""

_LOCK_TIMEOUT_S = 1.5
_SECOND = timedelta(seconds=1)


class DistributionEnded(MigrationFailed):
    """PostgreSQL ended the distribution; the text has its reason, and what controllers see."""

    def __init__(self, error: psycopg.Error) -> None:
        super().__init__(f"PostgreSQL ended the distribution: {str(error).strip()}. {_seen_after(error)}")


@define(eq=False)
class Announcement:
    """Stores buckets together, ANNOUNCED before they begin; `_time` is the clock that all controllers follow."""

    _connections: MigrationConnections
    _statements: Statements
    _clock: Clock
    _time: ServerClock
    _actor: Actor = UNNAMED
    _options: MigrationOptions = OPTIONS

    async def make(self, numbers: Sequence[int]) -> datetime:
        """Store the buckets, and return when they begin; raises MigrationFailed, which says what controllers see."""
        connections = evolve(self._connections, options=self._options)
        try:
            async with connections.transaction(_LOCK_TIMEOUT_S) as connection:
                from_at = await self._begin(connection, numbers)
        except psycopg.Error as error:
            raise DistributionEnded(error) from error
        require_time(from_at, (await self._time.read()).at)
        try:
            async with connections.transaction(_LOCK_TIMEOUT_S) as connection:
                await fetch(connection, self._statements.buckets.write_durably)
        except psycopg.OperationalError as error:
            raise MigrationFailed(
                f"The buckets begin at {from_at.isoformat()}, but no standby has confirmed it: {str(error).strip()}. "
                "Bring a standby back before that instant: after a failover to a server that lacks the buckets, the "
                "sessions in them would not be found."
            ) from error
        return from_at

    async def _begin(self, connection: Connection, numbers: Sequence[int]) -> datetime:
        """Store the buckets, and return when they begin.

        The commit waits for no standby: one that is away would let controllers see the buckets only when it is back.
        """
        buckets = self._statements.buckets
        await fetch(connection, buckets.commit_locally)
        from_at = (await self._time.read()).at + ANNOUNCED
        rows = {"numbers": list(numbers), "schemas": [SCHEMA.format(number) for number in numbers], "from_at": from_at}
        await fetch(connection, buckets.insert_buckets, rows)
        await fetch(connection, buckets.exclude_older_releases)
        await self._record(connection, numbers, from_at)
        return from_at

    async def _record(self, connection: Connection, numbers: Sequence[int], from_at: datetime) -> None:
        await fetch(
            connection,
            self._statements.migrations.insert_migration_act,
            {
                "act_id": uuid7_at(self._clock.now(), secrets.randbits(62)),
                "actor": self._actor.name,
                "origin": self._actor.origin,
                "act": ActName.DATABASE_DISTRIBUTE,
                "subject": f"buckets {', '.join(map(str, numbers))}",
                "details": json.dumps({"buckets": list(numbers), "from_at": from_at.isoformat()}),
            },
        )


def require_time(from_at: datetime, now: datetime) -> None:
    """Raise MigrationFailed if controllers may have read the buckets too late, because the commit was slow."""
    left = from_at - now
    if left < FRESH:
        raise MigrationFailed(
            f"The buckets begin at {from_at.isoformat()}. The server stored them {left / _SECOND:.0f} s before, "
            f"and controllers need {FRESH / _SECOND:.0f} s, so some may read them too late. A call that is "
            "repeated with an idempotency key around that instant may then run twice. Stop the controllers until "
            "then, or repeat no such call."
        )


def _seen_after(error: psycopg.Error) -> str:
    """Return what controllers see after an error. A connection that was lost may have been lost after the commit."""
    if error.sqlstate is None:
        return (
            "Controllers see all or none of it: `pglambda migrate status` lists the buckets if they were stored. If it "
            "lists none, run the command again: it completes what is there."
        )
    return "Controllers see none of it. Remove the cause, and run the command again: it completes what is there."
