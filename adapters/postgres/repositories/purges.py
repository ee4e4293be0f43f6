"""Erases what callers have stored, in PostgreSQL."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

from attrs import define, evolve
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.codec import PARTITIONS, day_at, first_day_of, partitions_between
from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.owner_mover import OwnerMoverOptions, PostgresOwnerMover, Walk, steps
from adapters.postgres.repositories.writers import WRITERS_WAIT_S, writers_gone
from adapters.postgres.statements.administration import PurgeStatements
from domain.access.owner_move import MoveStep, OwnedData, OwnerPurger
from domain.audit import Act
from domain.clock import Clock
from domain.files.file import CHUNK_SIZE
from domain.identity import NO_ID, Owner, SessionRef, uuid7_time
from domain.scripts.language import Language
from domain.sessions.ports import SessionPurger
from domain.sessions.session import SessionNotFound

_WEBHOOKS_MAX = 1
"""Webhooks in one statement: each has 10,000 deliveries, or more before cleanup has come."""


@define(eq=False)
class PostgresSessionPurger(SessionPurger):
    """Erases in one statement at most `rows_max` entries, executions and keys each, and about `bytes_max` of each."""

    _gateway: Gateway
    _statements: PurgeStatements
    _clock: Clock
    _key_lifetime: timedelta
    _rows_max: int = 1000
    _bytes_max: int = 16 * 1024 * 1024

    @override
    async def purge(self, ref: SessionRef, act: Act) -> None:
        # The first step removes open records. It waits for a finish that is under way, and does not see the row that
        # the finish writes. A later step that finds nothing ends the purge, also that of a session without a row.
        is_known, _ = await self._step(ref, act)
        if not is_known:
            raise SessionNotFound
        await writers_gone(self._gateway, self._statements.select_writers, WRITERS_WAIT_S)
        while (await self._step(ref, act))[1]:
            pass
        await self._purge_files(ref, act)

    async def _purge_files(self, ref: SessionRef, act: Act) -> None:
        """Erase what the executions of the session have written."""
        rows_max, chunks_max = self._rows_max, -(-self._bytes_max // CHUNK_SIZE)
        named = {"owner": None, "request_id": ref.session_id}
        hiding = Walk(OwnedData.FILES, self._statements.hide_files, named, {"after": None}, rows_max)
        erasing = {**named, "chunks_max": chunks_max, **codec.act_columns(act)}
        for walk in (hiding, Walk(OwnedData.FILES, self._statements.purge_files, erasing, {}, rows_max, cut=True)):
            async for _ in steps(self._gateway, walk):
                pass

    async def _step(self, ref: SessionRef, act: Act) -> tuple[bool, int]:
        """Erase a bounded number of rows; return whether anything is known of the session, and how many there were."""
        now = self._clock.now()
        parameters = {
            "request_id": ref.session_id,
            "owner": ref.owner,
            "partitions": codec.numbers(partitions_between(first_day_of(ref.session_id, now), day_at(now))),
            "key_expires_at": uuid7_time(ref.session_id) + self._key_lifetime,
            "rows_max": self._rows_max,
            "bytes_max": self._bytes_max,
            **codec.act_columns(act),
        }
        ((is_known, erased),) = await self._gateway.fetch(self._statements.purge_session, parameters)
        return is_known, int(erased)


@define(eq=False)
class PostgresOwnerPurger(OwnerPurger):
    """Erases a bounded number of rows per statement, in key order."""

    _gateway: Gateway
    _statements: PurgeStatements
    _clock: Clock
    _mover: PostgresOwnerMover
    """It counts what belongs to an owner."""
    _options: OwnerMoverOptions

    @override
    async def count(self, owner: Owner) -> Mapping[OwnedData, int]:
        named = {"owner": owner}
        ((filled,),) = await self._gateway.fetch(self._statements.select_filled_session_count, named)
        ((inbound,),) = await self._gateway.fetch(self._statements.select_inbound_count, named)
        ((environments,),) = await self._gateway.fetch(self._statements.select_environment_count, named)
        counted = {OwnedData.SESSIONS: filled + inbound, OwnedData.ENVIRONMENTS: environments}
        return {**await self._mover.count(owner), **counted}

    @override
    async def purge(self, owner: Owner, act: Act) -> AsyncIterator[MoveStep]:
        for walk in self._walks({"owner": owner, **codec.act_columns(act)}):
            async for step in steps(self._gateway, walk):
                yield step
            if walk.statement is self._statements.purge_sessions:
                await writers_gone(self._gateway, self._statements.select_writers, WRITERS_WAIT_S)

    def _walks(self, named: Mapping[str, object]) -> list[Walk]:
        """Return the walks in order: first schedules, which open sessions, and the queue, then sessions.

        Schedules and the queue come again once their sessions are closed: until then new rows may be stored.
        """
        statements, rows_max = self._statements, self._options.rows_max
        first = {"after_request_id": NO_ID, "after_execution_id": NO_ID}
        key = {"after_request_id": NO_ID, "after_owner": "", "after_key": ""}
        title = {"after_language": "", "after_title": ""}
        sessions, sized = {**named, "now": self._clock.now()}, {**named, "bytes_max": self._options.bytes_max}
        entry = {"after_ready_at": None, "after_execution_id": NO_ID}
        files = {**named, "request_id": None, "chunks_max": -(-self._options.bytes_max // CHUNK_SIZE)}
        queues = [
            Walk(OwnedData.SESSIONS, statements.purge_queue, {**sized, "language": each}, entry, rows_max, cut=True)
            for each in Language
        ]
        history = Walk(OwnedData.HISTORY, statements.purge_history, sized, first, rows_max, cut=True)
        schedules = Walk(OwnedData.SCHEDULES, statements.purge_schedules, named, {"after": None}, rows_max)
        return [
            schedules,
            *queues,
            Walk(OwnedData.SESSIONS, statements.purge_sessions, sessions, {"after": None}, self._options.sessions_max),
            *queues,
            schedules,
            Walk(OwnedData.SESSIONS, statements.purge_inbound, named, {"after": None}, self._options.sessions_max),
            Walk(OwnedData.SESSIONS, statements.purge_takings, named, {"after": None}, rows_max),
            Walk(OwnedData.KEYS, statements.purge_keys, sized, key, rows_max, cut=True),
            *(evolve(history, parameters={**sized, "partition": partition}) for partition in range(PARTITIONS)),
            Walk(OwnedData.FUNCTIONS, statements.purge_functions, named, title, rows_max),
            Walk(OwnedData.WEBHOOKS, statements.purge_webhooks, named, {"after": None}, _WEBHOOKS_MAX),
            Walk(OwnedData.FILES, statements.hide_files, files, {"after": None}, rows_max),
            Walk(OwnedData.FILES, statements.purge_files, files, {}, rows_max, cut=True),
            Walk(OwnedData.EGRESS_RULES, statements.purge_egress_rules, named, {"after": ""}, rows_max),
            Walk(OwnedData.SECRETS, statements.purge_secrets, named, {"after": ""}, rows_max),
            Walk(OwnedData.ENVIRONMENTS, statements.purge_environments, named, {}, rows_max),
        ]
