"""Sessions in PostgreSQL."""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from attrs import field, frozen
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.locking_writes import KeyedLock, LockingWrites
from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.session_statements import (
    InsertSessions,
    SelectScripts,
    SelectSessions,
    UpdateSessions,
)
from adapters.postgres.statements.calls import SessionStatements
from domain.errors import DomainError, StorageUnavailable
from domain.identity import EVERY_OWNER, Owner, SessionRef
from domain.paging import Page
from domain.scripts.script import Script
from domain.sessions.ports import SessionFilter, SessionRepository
from domain.sessions.session import Session, SessionNotFound, UpdateConflict


@frozen
class SessionRepositoryOptions:
    """Bounds of batches, of races that an update may lose and the pause after each, of the rows and bytes of a page."""

    batches: CoalescerOptions = field(factory=CoalescerOptions)
    races_max: int = 10
    race_pause_s: float = 0.02
    updates_max: int = 1024
    examined_max: int = 1000
    page_bytes_max: int = 8 * 1024 * 1024
    script_size_max: int = 1024 * 1024


class PostgresSessionRepository(SessionRepository):
    """Stores sessions in `meta.sessions`; all writers of sessions in this process share `writing`."""

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
        self._updating = KeyedLock(self._options.updates_max)
        batches = self._options.batches
        self._insertions = Coalescer(gateway, InsertSessions(statements.insert_sessions), batches, exclusive=writing)
        self._reads = Coalescer(gateway, SelectSessions(statements.select_sessions), batches, share=True)
        select_scripts = SelectScripts(statements.select_scripts, self._options.script_size_max)
        self._scripts = Coalescer(gateway, select_scripts, batches, share=True)
        self._changes = LockingWrites(gateway, UpdateSessions(statements.update_sessions), batches, exclusive=writing)

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """All coalescers of this repository, for metrics and to be closed."""
        return self._insertions, self._reads, self._scripts, *self._changes.coalescers

    @override
    async def add(self, session: Session, script: Script) -> None:
        await self._insertions.submit((session, script))

    @override
    async def get(self, ref: SessionRef) -> Session:
        return await self._reads.submit(ref if ref.owner != EVERY_OWNER else await self._owned(ref))

    @override
    async def script(self, ref: SessionRef) -> Script | None:
        return await self._scripts.submit(ref if ref.owner != EVERY_OWNER else await self._owned(ref))

    @override
    async def update(self, ref: SessionRef, change: Callable[[Session], Session]) -> Session:
        if ref.owner == EVERY_OWNER:
            with _nothing_stored():
                ref = await self._owned(ref)
        async with self._updating.hold(ref):
            try:
                return await self._race(ref, change)
            except StorageUnavailable as error:
                if error.stored != "unknown":
                    raise
            try:
                return await self._race(ref, change)
            except DomainError as error:
                # The first write may have been stored, and be the reason for this refusal.
                raise StorageUnavailable(stored="unknown", retry_after_ms=None) from error

    @override
    async def page(
        self, owner: Owner, wanted: SessionFilter, after: UUID | None, size: int, *, contexts: bool = True
    ) -> Page[Session]:
        found = await self._gateway.fetch(
            self._statements.select_session_page,
            {
                "owner": owner,
                "after": after,
                "language": wanted.language,
                "status": wanted.status,
                "text": wanted.text,
                "metadata": wanted.metadata,
                "contexts": contexts,
                "judged_at": wanted.judged_at,
                "rows_max": size if wanted.shows_all else max(size, self._options.examined_max),
                "size": size,
                "bytes_max": self._options.page_bytes_max,
            },
        )
        next_after = found[0][0]
        return Page([codec.session_of(row[1:]) for row in found if row[1] is not None], next_after)

    async def _owned(self, ref: SessionRef) -> SessionRef:
        """Return the ref with the session's own owner, for a caller with access to all owners."""
        found = await self._gateway.fetch(self._statements.select_session_owner, {"request_id": ref.session_id})
        if not found:
            raise SessionNotFound
        return SessionRef(Owner(found[0][0]), ref.session_id)

    async def _race(self, ref: SessionRef, change: Callable[[Session], Session]) -> Session:
        """Read, apply the change and write, until no other process has written in between."""
        for _ in range(self._options.races_max):
            with _nothing_stored():
                read = await self.get(ref)
            changed = change(read)
            if changed is read:
                return read
            written = await self._changes.submit((read, changed))
            if written is not None:
                return written
            pause_s = self._options.race_pause_s
            await asyncio.sleep(random.uniform(0, pause_s))  # noqa: S311  # keeps the losers of one race apart
        raise UpdateConflict


@contextmanager
def _nothing_stored() -> Iterator[None]:
    """Say of a failed read before a write that nothing was stored."""
    try:
        yield
    except StorageUnavailable as error:
        raise error.restated(stored="no") from error
