"""The origin's sessions in memory, and their comparison with what is stored here."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from attrs import define, evolve, field
from typing_extensions import override

from adapters.memory.store import MemoryStore
from domain.identity import is_own_id
from domain.json_text import JsonText
from domain.takeover.fence import HIDDEN_BEFORE
from domain.takeover.leftovers import ACTIVE
from domain.takeover.moving import InboundSession
from domain.takeover.ordinary import OrdinaryRows, PageLimits, RowKind, RowPage
from domain.takeover.reader_ports import OriginReader, RowHead, StoredReader, first_page
from domain.takeover.receiving import canonical_id, received
from domain.takeover.source_session import SourceSession, TakeoverPolicy
from domain.takeover.verification import OriginDigest, Standing, StoredDigest, StoredSession


@define(eq=False)
class MemoryOriginReader(OriginReader):
    """Reads `rows`, by id; while `failure` is set, every call raises it."""

    rows: dict[str, SourceSession] = field(factory=dict)
    shift: timedelta = timedelta(0)
    failure: Exception | None = None

    @override
    async def estimate(self, expired_after: datetime | None) -> int:
        return len(await self.heads(None, expired_after, len(self.rows)))

    @override
    async def heads(self, after: JsonText | None, expired_after: datetime | None, size: int) -> Sequence[RowHead]:
        if self.failure is not None:
            raise self.failure
        rows = [row for row in self.rows.values() if expired_after is None or _expires_after(row, expired_after)]
        heads = [_head(row) for row in sorted(rows, key=lambda row: row.request_id)]
        if after is not None:
            found = [place for place, head in enumerate(heads) if head.cursor <= after]
            heads = heads[len(found) :]
        return heads[:size]

    @override
    async def page(
        self, after: JsonText | None, limits: PageLimits, policy: TakeoverPolicy, now: datetime
    ) -> RowPage | None:
        page = first_page(await self.heads(after, policy.expired_after(now), limits.rows_max), limits)
        if page is None:
            return None
        rows = [self.rows[request_id] for request_id in page.odd if _is_ordinary(self.rows[request_id], policy, now)]
        kinds = [_kind(row) for row in rows]
        found = [received(row, policy, now) for row in rows]
        ids = [row.request_id for row in rows]
        odd = [request_id for request_id in page.odd if request_id not in ids]
        return evolve(page, odd=odd, ordinary=OrdinaryRows(ids, kinds, range(len(kinds)), found))

    @override
    async def sessions(self, ids: Sequence[str]) -> Sequence[SourceSession]:
        if self.failure is not None:
            raise self.failure
        return [self._shown(self.rows[request_id]) for request_id in ids if request_id in self.rows]

    @override
    async def hidden(self, ids: Sequence[str]) -> Mapping[str, bool]:
        if self.failure is not None:
            raise self.failure
        return {request_id: _is_hidden(self.rows[request_id]) for request_id in ids if request_id in self.rows}

    @override
    async def digests(self, after: str, expired_after: datetime | None, size: int) -> Sequence[OriginDigest]:
        if self.failure is not None:
            raise self.failure
        rows = sorted((row for row in self.rows.values() if row.request_id > after), key=lambda row: row.request_id)
        return [self._digest(row, expired_after) for row in rows[:size]]

    def _shown(self, row: SourceSession) -> SourceSession:
        if row.expires_at is None or not _is_hidden(row):
            return row
        return evolve(row, expires_at=row.expires_at + self.shift)

    def _digest(self, row: SourceSession, expired_after: datetime | None) -> OriginDigest:
        size_bytes = _head(row).size_bytes
        if not _is_hidden(row) and expired_after is not None and not _expires_after(row, expired_after):
            return OriginDigest(row.request_id, Standing.EXPIRED, None, None, None, size_bytes)
        standing = Standing.HIDDEN if _is_hidden(row) else Standing.SHOWN
        return OriginDigest(row.request_id, standing, *_texts(self._shown(row)), size_bytes)


def _is_ordinary(row: SourceSession, policy: TakeoverPolicy, now: datetime) -> bool:
    """Return whether a row is ordinary; here, one that has expired or has a hash is odd."""
    session_id, created_at, expires_at = canonical_id(row.request_id), row.created_at, row.expires_at
    return (
        session_id is not None
        and not is_own_id(session_id)
        and row.instants_fit
        and created_at is not None
        and expires_at is not None
        and max(created_at, now) < expires_at
        and (row.status, row.script_hash, row.artifact_bytes) == (ACTIVE, None, None)
        and (row.execution_count or 0) >= 0
        and (row.context or "").startswith("{")
        and len((row.context or "").encode()) <= policy.context_size_max
        and 0 < len((row.script_content or "").encode()) <= policy.script_size_max
    )


def _kind(row: SourceSession) -> RowKind:
    texts = row.compile_options, row.compile_status, row.compile_error, row.metadata
    return RowKind(row.language_title, row.user_id, *texts, has_hash=False, is_expired=False)


def _expires_after(row: SourceSession, instant: datetime) -> bool:
    return row.expires_at is None or row.expires_at > instant


def _head(row: SourceSession) -> RowHead:
    texts = (row.script_content, row.context, row.compile_options, row.compile_error, row.metadata)
    return RowHead(row.request_id, "", sum(len(text.encode()) for text in texts if text is not None))


def _is_hidden(row: SourceSession) -> bool:
    return row.expires_at is not None and row.expires_at < HIDDEN_BEFORE


def _texts(row: SourceSession) -> tuple[str, str, bytes]:
    """Return the identity, the use and the digest of the contents of a row."""
    identity = repr((row.language_title, row.user_id, row.created_at, row.expires_at))
    contents = (row.context, row.script_content, row.metadata, row.compile_options, row.compile_error, row.status)
    digest = hashlib.sha256(repr((contents, row.script_hash, row.compile_status)).encode()).digest()
    return identity, repr((row.last_executed_at, row.execution_count or 0)), digest


@define(eq=False)
class MemoryStoredReader(StoredReader):
    """Reads the copies of the fake store, and the sessions of the fake repositories."""

    _store: MemoryStore

    @override
    async def digests(self, after: UUID, lifetime_max: timedelta, size: int) -> Sequence[StoredDigest]:
        self._store.require_available()
        found = {**self._taken(), **{key: StoredSession(None, each) for key, each in self._store.inbound.items()}}
        later = sorted(session_id for session_id in found if session_id > after)[:size]
        return [self._digest(session_id, found[session_id], lifetime_max) for session_id in later]

    @override
    async def sessions(self, ids: Sequence[UUID]) -> Mapping[UUID, StoredSession]:
        self._store.require_available()
        copies = {key: StoredSession(None, each) for key, each in self._store.inbound.items()}
        return {key: each for key, each in {**copies, **self._taken()}.items() if key in set(ids)}

    def _taken(self) -> Mapping[UUID, StoredSession]:
        """Return the taken sessions that are stored among all sessions."""
        return {
            key: StoredSession(
                taken.state,
                InboundSession(self._store.sessions[key], self._store.scripts.get(key), taken.original),
                taken.count_at_fence,
                taken.late_count,
            )
            for key, taken in self._store.taken.items()
            if key in self._store.sessions
        }

    def _digest(self, session_id: UUID, stored: StoredSession, lifetime_max: timedelta) -> StoredDigest:
        session, original = stored.inbound.session, stored.inbound.original
        taken = self._store.taken.get(session_id)
        identity, use, content = _texts(_row_of(stored.inbound))
        limits = session.limits
        length_s = session.ttl_seconds - round((session.expires_at - session.created_at).total_seconds())
        settings = [limits.timeout_ms, limits.memory_mb, limits.isolation, session.renewal, session.convention]
        settings += [session.version, length_s, session.closed_at, session.function_id]
        return StoredDigest(
            str(session_id),
            "inbound" if taken is None else str(taken.state),
            identity,
            use,
            None if session.script_hash is None else content,
            session.expires_max_at == max(session.expires_at, session.created_at + lifetime_max),
            session.ref.owner,
            session.language_title.language,
            session.language_title.title,
            original.spelled_title,
            original.user_id,
            " ".join(str(each) for each in settings if each is not None),
        )


def _row_of(inbound: InboundSession) -> SourceSession:
    """Return the row of the origin from which a session was made."""
    session, members = inbound.session, json.loads(inbound.original.leftovers)
    absent = members.get("absent", ())
    script = None if inbound.script is None else inbound.script.source
    compile_options, metadata = (members.get(name) for name in ("compile_options", "metadata"))
    return SourceSession(
        request_id=str(session.ref.session_id),
        language_title=inbound.original.spelled_title,
        user_id=inbound.original.user_id,
        created_at=session.created_at,
        expires_at=session.expires_at,
        last_executed_at=session.last_executed_at,
        instants_fit=True,
        execution_count=members.get("execution_count", session.execution_count),
        status=members.get("status", ACTIVE),
        context=session.context,
        script_content=None if "script_content" in absent else members.get("script_content", script),
        script_hash=members.get("script_hash"),
        compile_options=None if compile_options is None else json.dumps(compile_options),
        compile_status=members.get("compile_status"),
        compile_error=members.get("compile_error"),
        metadata=None if "metadata" in absent else session.metadata if metadata is None else json.dumps(metadata),
        artifact_bytes=None,
    )
