"""Sessions in PostgreSQL."""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal
from uuid import UUID

from attrs import evolve, field, frozen
from typing_extensions import override

from adapters.postgres.batching.batch_keys import BatchKeys
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.keyed_lock import KeyedLock
from adapters.postgres.batching.locking_writes import SKIPPED, LockingWrites, Skipped
from adapters.postgres.batching.response_size import ResponseSize
from adapters.postgres.codec import rows
from adapters.postgres.gateway import Gateway, PoolName
from adapters.postgres.statements import SessionStatements
from domain.errors import DomainError, StorageUnavailable
from domain.identity import EVERY_OWNER, Owner, SessionRef
from domain.paging import Page
from domain.scripts.script import Script
from domain.sessions.ports import SessionFilter, SessionRepository
from domain.sessions.session import Session, SessionNotFound, UpdateConflict

_Addition = tuple[Session, Script]
_Change = tuple[Session, Session]

_ROW_BYTES = 512
"""What a session takes beside its texts, about."""


@frozen
class SessionRepositoryOptions:
    """Bounds: of batches, of races that an update loses (and the pause after one), of rows and bytes behind a page."""

    batches: CoalescerOptions = field(factory=CoalescerOptions)
    races_max: int = 10
    race_pause_s: float = 0.02
    updates_max: int = 1024
    examined_max: int = 1000
    page_bytes_max: int = 8 * 1024 * 1024
    script_size_max: int = 1024 * 1024


class PostgresSessionRepository(SessionRepository):
    """Keeps sessions in `meta.sessions`; `writing` is shared by all writers of sessions in this process."""

    def __init__(
        self,
        gateway: Gateway,
        statements: SessionStatements,
        writing: BatchKeys,
        options: SessionRepositoryOptions | None = None,
    ) -> None:
        self._gateway = gateway
        self._statements = statements
        self._options = options or SessionRepositoryOptions()
        self._turns = KeyedLock(self._options.updates_max)
        self._session_bytes = ResponseSize(_ROW_BYTES)
        batches = self._options.batches
        self._additions: Coalescer[_Addition, None] = Coalescer(
            "add", self._add, key=_addition_key, size=_addition_size, options=batches, exclusive=writing
        )
        self._reads: Coalescer[SessionRef, Session] = Coalescer(
            "get", self._get, key=_itself, size=self._session_bytes.expect, options=batches, share=True
        )
        self._scripts: Coalescer[SessionRef, Script | None] = Coalescer(
            "script", self._script, key=_itself, size=self._script_size, options=batches, share=True
        )
        self._changes: LockingWrites[_Change, Session | None] = LockingWrites(
            "update", self._change, key=_change_key, size=_change_size, options=batches, exclusive=writing
        )

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """All of this repository's, to be watched and closed."""
        return self._additions, self._reads, self._scripts, *self._changes.coalescers

    @override
    async def add(self, session: Session, script: Script) -> None:
        await self._additions.ask((session, script))

    @override
    async def get(self, ref: SessionRef) -> Session:
        return await self._reads.ask(ref if ref.owner != EVERY_OWNER else await self._owned(ref))

    @override
    async def script(self, ref: SessionRef) -> Script | None:
        return await self._scripts.ask(ref if ref.owner != EVERY_OWNER else await self._owned(ref))

    @override
    async def update(self, ref: SessionRef, change: Callable[[Session], Session]) -> Session:
        if ref.owner == EVERY_OWNER:
            with _before_the_write():
                ref = await self._owned(ref)
        async with self._turns.take(ref):
            try:
                return await self._race(ref, change)
            except StorageUnavailable as error:
                if error.stored != "unknown":
                    raise
            try:
                return await self._race(ref, change)
            except DomainError as error:
                # The first write may be what the rule refuses now.
                raise StorageUnavailable(stored="unknown", retry_after_ms=None) from error

    @override
    async def page(self, owner: Owner, wanted: SessionFilter, after: UUID | None, size: int) -> Page[Session]:
        unfiltered = wanted.status is None and wanted.language is None
        found = await self._gateway.fetch(
            self._statements.select_session_page,
            {
                "owner": owner,
                "after": after,
                "language": wanted.language,
                "status": wanted.status,
                "judged_at": wanted.judged_at,
                "rows_max": size if unfiltered else max(size, self._options.examined_max),
                "size": size,
                "bytes_max": self._options.page_bytes_max,
            },
        )
        next_after = found[0][0]
        return Page([rows.session_of(row[1:]) for row in found if row[1] is not None], next_after)

    async def _owned(self, ref: SessionRef) -> SessionRef:
        """Return the key with the session's own owner, for one who reaches across owners."""
        found = await self._gateway.fetch(self._statements.select_session_owner, {"request_id": ref.session_id})
        if not found:
            raise SessionNotFound
        return SessionRef(Owner(found[0][0]), ref.session_id)

    async def _race(self, ref: SessionRef, change: Callable[[Session], Session]) -> Session:
        """Read, apply the rule and write, until nobody else has written in between."""
        for _ in range(self._options.races_max):
            with _before_the_write():
                read = await self.get(ref)
            changed = change(read)
            if changed is read:
                return read
            written = await self._changes.ask((read, changed))
            if written is not None:
                return written
            pause_s = self._options.race_pause_s
            await asyncio.sleep(random.uniform(0, pause_s))  # noqa: S311  # keeps the losers of one race apart
        raise UpdateConflict

    async def _add(self, calls: Sequence[_Addition]) -> Sequence[None]:
        await self._gateway.fetch(self._statements.insert_sessions, rows.new_session_columns(calls))
        return [None] * len(calls)

    async def _get(self, keys: Sequence[SessionRef]) -> Sequence[Session | Exception]:
        found = await self._gateway.fetch(self._statements.select_sessions, rows.key_columns(keys), parts=len(keys))
        answers: list[Session | Exception] = [SessionNotFound()] * len(keys)
        for ordinal, *row in found:
            answers[ordinal - 1] = rows.session_of(tuple(row))
        self._session_bytes.learn(len(keys), sum(_session_size(answer) for answer in answers))
        return answers

    async def _script(self, keys: Sequence[SessionRef]) -> Sequence[Script | Exception | None]:
        found = await self._gateway.fetch(self._statements.select_scripts, rows.key_columns(keys))
        answers: list[Script | Exception | None] = [SessionNotFound()] * len(keys)
        for ordinal, source, script_hash in found:
            answers[ordinal - 1] = None if source is None else Script(source, script_hash)
        return answers

    async def _change(
        self, calls: Sequence[_Change], lane: PoolName
    ) -> Sequence[Session | Literal[Skipped.SKIPPED] | None]:
        """Write; None is the answer to a call that lost a race.

        The statement is not repeated by itself: it would take its own first write for somebody else's.
        """
        found = await self._gateway.fetch(
            self._statements.update_sessions,
            {**rows.changed_session_columns(calls), "waits": lane == "waiting"},
            repeatable=False,
            lane=lane,
        )
        answers: list[Session | Literal[Skipped.SKIPPED] | None] = [None] * len(calls)
        for ordinal, changed, *facts in found:
            answers[ordinal - 1] = _written(calls[ordinal - 1], *facts) if changed else SKIPPED
        return answers

    def _script_size(self, _: SessionRef) -> int:
        return self._options.script_size_max


@contextmanager
def _before_the_write() -> Iterator[None]:
    """What fails to be read on behalf of a write has nothing stored."""
    try:
        yield
    except StorageUnavailable as error:
        raise StorageUnavailable(stored="no") from error


def _written(call: _Change, expires_at: Any, last_executed_at: Any, execution_count: Any) -> Session:
    """Return the session with what others wrote meanwhile."""
    return evolve(call[1], expires_at=expires_at, last_executed_at=last_executed_at, execution_count=execution_count)


def _itself(ref: SessionRef) -> SessionRef:
    return ref


def _addition_key(call: _Addition) -> int:
    return call[0].ref.session_id.int


def _addition_size(call: _Addition) -> int:
    return _session_size(call[0]) + len(call[1].source)


def _change_key(call: _Change) -> int:
    return call[1].ref.session_id.int


def _change_size(call: _Change) -> int:
    return _session_size(call[1])


def _session_size(answer: Session | Exception) -> int:
    if isinstance(answer, Exception):
        return _ROW_BYTES
    return _ROW_BYTES + len(answer.context) + len(answer.metadata)
