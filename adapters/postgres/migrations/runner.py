"""Migrates a database's schema up and down."""

import asyncio
import json
import logging
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar, cast

import psycopg
import structlog
from attrs import define, field
from psycopg.abc import QueryNoTemplate

from adapters.postgres.connections.connection import Connection
from adapters.postgres.migrations.connections import MigrationConnections, fetch, run
from adapters.postgres.migrations.down import Destruction, PlannedDown, require_allowed
from adapters.postgres.migrations.migration import (
    AppliedMigration,
    Migration,
    MigrationStatus,
    SchemaState,
    UnknownMigration,
    load_migrations,
)
from adapters.postgres.migrations.options import MigrationOptions
from adapters.postgres.statements.administration import MigrationStatements
from domain.audit import UNNAMED, ActName, Actor
from domain.clock import Clock
from domain.errors import StorageUnavailable
from domain.identity import uuid7_at

_LOCK = 0x70676C616D626461
"""The key of the advisory lock of all runners: "pglambda" in ASCII."""
_BUILD_LOCK = _LOCK + 1
"""The key of the advisory lock of the runner that applies a step outside of a transaction."""

_LOCKED = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)

Done = TypeVar("Done")

_log = structlog.get_logger(__name__)


@define(eq=False)
class MigrationRunner:
    """Applies steps, each in a transaction of its own; several runners at once apply each step once.

    Every method may raise StorageUnavailable, UnsupportedServer, StepForbidden or MigrationsDiffer; with a version also
    UnknownMigration.
    """

    _dsn: str = field(repr=False)
    _statements: MigrationStatements
    _clock: Clock
    _options: MigrationOptions = field(factory=MigrationOptions)
    _steps: Sequence[Migration] = field(factory=load_migrations)
    _actor: Actor = UNNAMED
    _level: int = logging.INFO
    """The level of the log lines about steps that were applied."""
    _connections: MigrationConnections = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._connections = MigrationConnections(self._dsn, self._statements.set_timeouts, self._options)

    async def up(self, to: int | None = None, *, dry_run: bool = False) -> Sequence[Migration]:
        """Apply the pending steps up to version `to` (default: all), or none in a dry run; return them in order."""
        self._require_known(to)
        state = SchemaState.of(self._steps, await self._applied())
        pending = [step for step in state.pending if to is None or step.version <= to]
        if state.newer:
            _log.warning("schema_newer", migrations=[str(each) for each in state.newer])
        if dry_run:
            return pending
        return [step for step in pending if await self._applied_now(step)]

    async def down(
        self, to: int | None = None, *, destroy: Collection[str] = (), dry_run: bool = False
    ) -> Sequence[PlannedDown]:
        """Revert the steps above version `to` (default: the latest), or none in a dry run; return them in that order.

        Each step is returned with the data that it deletes. Raises DestructionRefused if a step would delete a kind of
        data that is not in `destroy`: before the first step is reverted, and in the step's own transaction for rows
        that appear later.
        """
        self._require_known(to)
        planned = await self._retried(partial(self._plan, to))
        if dry_run:
            return [down for _, down in planned]
        require_allowed([down for _, down in planned], destroy)
        reverted: list[PlannedDown] = []
        for step, _ in planned:
            down = await self._retried(partial(self._revert, step, destroy, tuple(reverted)))
            reverted.extend([down] if down is not None else [])
        return reverted

    async def status(self) -> Sequence[MigrationStatus]:
        """Return all steps, in order, and when each was applied; then those of newer releases."""
        applied = await self._applied()
        applied_at = {each.version: each.applied_at for each in applied}
        newer = SchemaState.of(self._steps, applied).newer
        return [
            *(MigrationStatus(str(step), applied_at.get(step.version)) for step in self._steps),
            *(MigrationStatus(str(each), each.applied_at, is_newer=True) for each in newer),
        ]

    async def pending(self) -> Sequence[Migration]:
        """Return the pending steps, in order; none if the database is ready for this release."""
        return SchemaState.of(self._steps, await self._applied()).pending

    def _require_known(self, to: int | None) -> None:
        if to is not None and to > self._steps[-1].version:
            raise UnknownMigration(f"There is no migration {to}. The latest is {self._steps[-1]}.")

    async def _retried(self, work: Callable[[float], Awaitable[Done]]) -> Done:
        """Do the work within a lock timeout, and again if it did not get a lock in time."""
        for attempt in range(1, self._options.attempts_max + 1):
            try:
                return await work(self._options.lock_timeout_of(attempt))
            except psycopg.OperationalError as error:
                if not isinstance(error, _LOCKED) or attempt == self._options.attempts_max:
                    raise StorageUnavailable from error
                _log.warning("migration_waiting", attempt=attempt, reason=str(error).strip())
            pause_s = self._options.pause_s
            await asyncio.sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311  # keeps runners apart
        raise AssertionError("the last attempt returns or raises")

    async def _applied(self) -> Sequence[AppliedMigration]:
        try:
            async with self._connections.transaction(self._options.lock_timeout_s) as connection:
                return await self._applied_in(connection)
        except psycopg.OperationalError as error:
            raise StorageUnavailable from error

    async def _applied_in(self, connection: Connection) -> Sequence[AppliedMigration]:
        ((exists,),) = await fetch(connection, self._statements.select_migrations_exist)
        rows = await fetch(connection, self._statements.select_migrations) if exists else []
        applied = [AppliedMigration(*row) for row in rows]
        SchemaState.of(self._steps, applied).require_usable()
        return applied

    async def _reverted_from(self, connection: Connection) -> Sequence[AppliedMigration]:
        """Return the applied steps, if this release has them all; raises MigrationsDiffer."""
        applied = await self._applied_in(connection)
        SchemaState.of(self._steps, applied).require_latest()
        return applied

    async def _applied_now(self, step: Migration) -> bool:
        """Apply a step, and return whether no other runner has."""
        if step.statements:
            await self._retried(partial(self._build, step))
        return await self._retried(partial(self._apply, step))

    async def _build(self, step: Migration, _: float) -> None:
        """Run the statements of a step outside of a transaction; another run may have left some of their effects."""
        async with self._connections.single_statements() as connection:
            ((granted,),) = await fetch(connection, self._statements.lock_build, {"key": _BUILD_LOCK})
            if not granted:
                raise psycopg.errors.LockNotAvailable("another process applies this step")
            if step.version not in {each.version for each in await self._applied_in(connection)}:
                for statement in step.statements:
                    await run(connection, statement)

    async def _apply(self, step: Migration, lock_timeout_s: float) -> bool:
        async with self._locked(lock_timeout_s) as connection:
            if step.version in {each.version for each in await self._applied_in(connection)}:
                return False
            if not step.statements:
                for text in step.texts:
                    await run(connection, text)
            await fetch(
                connection,
                self._statements.insert_migration,
                {"step": step.as_row(self._clock.now())},
            )
            await self._record(connection, ActName.MIGRATIONS_UP, step, {})
        _log.log(self._level, "migration_applied", migration=str(step))
        return True

    async def _plan(self, to: int | None, lock_timeout_s: float) -> Sequence[tuple[Migration, PlannedDown]]:
        async with self._connections.transaction(lock_timeout_s) as connection:
            await fetch(connection, self._statements.lock_migrations, {"key": _LOCK})
            versions = {each.version for each in await self._reverted_from(connection)}
            applied = [step for step in reversed(self._steps) if step.version in versions]
            latest = applied[:1] if to is None else [step for step in applied if step.version > to]
            return [(step, await _planned(connection, step)) for step in latest]

    async def _revert(
        self, step: Migration, destroy: Collection[str], reverted: Sequence[PlannedDown], lock_timeout_s: float
    ) -> PlannedDown | None:
        async with self._locked(lock_timeout_s) as connection:
            if step.version not in {each.version for each in await self._reverted_from(connection)}:
                return None
            # Under the lock no row appears between the count and the deletion.
            await run(connection, step.down_migration.lock)
            down = await _planned(connection, step)
            require_allowed([down], destroy, reverted)
            await run(connection, step.down_migration.statements)
            await fetch(connection, self._statements.delete_migration, {"version": step.version})
            deleted = {name: number for loss in down.losses for name, number in loss.counts.items()}
            await self._record(connection, ActName.MIGRATIONS_DOWN, step, deleted)
        _log.info("migration_reverted", migration=str(step), deleted=", ".join(loss.text for loss in down.losses))
        return down

    async def _record(
        self, connection: Connection, name: ActName, step: Migration, details: Mapping[str, object]
    ) -> None:
        """Record the step in its own transaction, if the schema has the audit record after it."""
        ((exists,),) = await fetch(connection, self._statements.select_audit_exists)
        if not exists:
            return
        await fetch(
            connection,
            self._statements.insert_migration_act,
            {
                "act_id": uuid7_at(self._clock.now(), secrets.randbits(62)),
                "actor": self._actor.name,
                "origin": self._actor.origin,
                "act": name,
                "subject": str(step),
                "details": json.dumps(details),
            },
        )

    @asynccontextmanager
    async def _locked(self, lock_timeout_s: float) -> AsyncIterator[Connection]:
        """Begin a transaction that excludes other runners, and create the table of steps if it is missing."""
        async with self._connections.transaction(lock_timeout_s) as connection:
            await fetch(connection, self._statements.lock_migrations, {"key": _LOCK})
            await fetch(connection, self._statements.create_schema)
            await fetch(connection, self._statements.create_migrations)
            yield connection


async def _planned(connection: Connection, step: Migration) -> PlannedDown:
    losses = [await _loss(connection, kind, count) for kind, count in step.down_migration.counts.items()]
    return PlannedDown(str(step), [loss for loss in losses if loss])


async def _loss(connection: Connection, kind: str, count: str) -> Destruction:
    cursor = await connection.execute(cast("QueryNoTemplate", count))
    names = [column.name for column in cursor.description or ()]
    (counts,) = await cursor.fetchall()
    return Destruction(kind, dict(zip(names, counts, strict=True)))
