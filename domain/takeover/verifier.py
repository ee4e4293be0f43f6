"""Compares the origin with what is stored here, row by row, beside everything that uses them."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from functools import lru_cache
from typing import Generic, TypeVar
from uuid import UUID

from attrs import define, field, frozen

from domain.clock import Clock
from domain.concurrency.pipeline import ahead, divided
from domain.identity import NO_ID
from domain.takeover.copying import own_since
from domain.takeover.ports import TakeoverStore
from domain.takeover.reader_ports import OriginReader, StoredReader
from domain.takeover.reasons import Reason
from domain.takeover.receiving import canonical_id, received
from domain.takeover.source import SourceRefused
from domain.takeover.source_session import LeftSession, SourceSession, TakeoverPolicy
from domain.takeover.verification import (
    FAULTS,
    OriginDigest,
    Standing,
    StoredDigest,
    StoredSession,
    Verdict,
    VerifiedRow,
    agree,
    judged,
    settings_of,
)

Digest = TypeVar("Digest", OriginDigest, StoredDigest)

_PAGE = 1000
_LOOKED_AT_ROWS_MAX = 500
_LOOKED_AT_BYTES_MAX = 1024 * 1024
_LOOKS_MAX = 3
"""A session that moves between two reads looks like a fault; only what is still one at the last look counts."""

_CHOICES_MAX = 10_000
_CHOICE_AT = StoredDigest._fields.index("owner")
"""From here on a digest has what the options give a session."""

_ORDER_REFUSED = (
    "The database of the origin does not sort ids as UUIDs are sorted: {} comes after {}, as the collation of "
    "request_id says."
)
_ORDER_REMEDY = 'Compare with a copy of the table whose request_id has COLLATE "C".'


@frozen
class VerifyStep:
    """Rows that were compared, by verdict, and those that an operator may want to know."""

    verdicts: Mapping[Verdict, int]
    rows: Sequence[VerifiedRow]

    @property
    def examined(self) -> int:
        """The rows of the origin among them."""
        return sum(number for verdict, number in self.verdicts.items() if verdict is not Verdict.EXTRA)


@define(eq=False)
class _Side(Generic[Digest]):
    """The digests of one side, page by page."""

    _pages: AsyncIterator[Sequence[Digest]]
    rows: Sequence[Digest] = ()
    at: int = 0
    is_over: bool = False

    async def fill(self) -> None:
        """Take the next page if this one is used up."""
        while self.at == len(self.rows) and not self.is_over:
            page = await anext(self._pages, None)
            self.rows, self.at, self.is_over = page or (), 0, page is None


@define
class _Suspect:
    """A row of one or both sides that must be looked at."""

    request_id: str
    size_bytes: int


@define(eq=False)
class Verifier:
    """Streams digests of both sides in the order of ids, and reads a session whole only if they do not agree.

    `bytes_max` is what a row may have to be copied. Every page is read by itself, so a session that changes or moves
    meanwhile is looked at again before it counts as a fault.
    """

    _origin: OriginReader
    _stored: StoredReader
    _store: TakeoverStore
    _policy: TakeoverPolicy
    _clock: Clock
    _bytes_max: int
    _is_chosen: Callable[[tuple[object, ...]], bool] = field(init=False)
    _last_id: str = field(default="", init=False)
    _own_since: datetime | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        """Remember the last answers: few sessions differ in them."""
        self._is_chosen = lru_cache(_CHOICES_MAX)(self._is_as_chosen)

    async def run(self) -> AsyncGenerator[VerifyStep]:
        """Compare all rows; raises SourceUnavailable, SourceRefused, StorageUnavailable or Overloaded."""
        self._own_since = own_since(await self._store.takeover())
        async with aclosing(ahead(self._origin_pages())) as there, aclosing(ahead(self._stored_pages())) as here:
            origin, stored = _Side(there), _Side(here)
            while True:
                await origin.fill()
                await stored.fill()
                if origin.is_over and stored.is_over:
                    return
                verdicts: Counter[Verdict] = Counter()
                suspects = list(self._merged(origin, stored, verdicts))
                rows = [row async for row in self._looked_at(suspects)]
                verdicts.update(row.verdict for row in rows)
                yield VerifyStep(verdicts, [row for row in rows if row.verdict not in {Verdict.SAME, Verdict.MOVED_ON}])

    async def _origin_pages(self) -> AsyncIterator[Sequence[OriginDigest]]:
        after, expired_after = "", self._policy.expired_after(self._clock.now())
        while page := await self._origin.digests(after, expired_after, _PAGE):
            yield page
            after = page[-1].request_id

    async def _stored_pages(self) -> AsyncIterator[Sequence[StoredDigest]]:
        after = NO_ID
        while page := await self._stored.digests(after, self._policy.lifetime_max, _PAGE):
            yield page
            after = UUID(page[-1].request_id)

    def _merged(
        self, origin: _Side[OriginDigest], stored: _Side[StoredDigest], verdicts: Counter[Verdict]
    ) -> Iterator[_Suspect]:
        """Count the rows that agree, and yield the others, until one of the two pages is used up."""
        while True:
            there = origin.rows[origin.at] if origin.at < len(origin.rows) else None
            here = stored.rows[stored.at] if stored.at < len(stored.rows) else None
            if (there is None and not origin.is_over) or (here is None and not stored.is_over):
                return
            if there is not None and here is not None and there.request_id == here.request_id:
                self._require_order(there.request_id)
                origin.at += 1
                stored.at += 1
                if agree(there, here) and self._is_chosen(here[_CHOICE_AT:]):
                    verdicts[Verdict.SAME] += 1
                else:
                    yield _Suspect(there.request_id, there.size_bytes)
            elif there is not None and self._comes_first(there.request_id, here):
                origin.at += 1
                if there.standing == Standing.EXPIRED:
                    verdicts[Verdict.LEFT] += 1
                else:
                    yield _Suspect(there.request_id, there.size_bytes)
            else:
                assert here is not None
                stored.at += 1
                yield _Suspect(here.request_id, 0)

    def _comes_first(self, request_id: str, here: StoredDigest | None) -> bool:
        """Return whether a row of the origin has no counterpart; an id that is no UUID has none."""
        if canonical_id(request_id) is None:
            return True
        self._require_order(request_id)
        return here is None or request_id < here.request_id

    def _require_order(self, request_id: str) -> None:
        if request_id < self._last_id:
            raise SourceRefused(_ORDER_REFUSED.format(request_id, self._last_id), remedy=_ORDER_REMEDY)
        self._last_id = request_id

    def _is_as_chosen(self, choice: tuple[object, ...]) -> bool:
        """Return whether a session has the title, the owner and the settings that the options give it."""
        owner, language, title, spelled_title, user_id, settings = choice
        resolved = self._policy.languages.resolve(str(spelled_title))
        chosen = self._policy.owners.owner_of(None if user_id is None else str(user_id))
        return (str(resolved), chosen, settings_of(self._policy)) == (f"{language}-{title}", owner, settings)

    async def _looked_at(self, suspects: Sequence[_Suspect]) -> AsyncIterator[VerifiedRow]:
        for part in divided(suspects, lambda each: each.size_bytes, _LOOKED_AT_ROWS_MAX, _LOOKED_AT_BYTES_MAX):
            for row in await self._verified(part):
                yield row

    async def _verified(self, suspects: Sequence[_Suspect]) -> Sequence[VerifiedRow]:
        """Return the verdicts on rows; one that is a fault is looked at again, as it may have been moving."""
        found: dict[str, VerifiedRow] = {}
        left = {suspect.request_id: suspect for suspect in suspects}
        for _ in range(_LOOKS_MAX):
            found |= {row.request_id: row for row in await self._look(list(left.values()))}
            left = {request_id: left[request_id] for request_id in left if found[request_id].verdict in FAULTS}
            if not left:
                break
        return list(found.values())

    async def _look(self, suspects: Sequence[_Suspect]) -> Sequence[VerifiedRow]:
        ids = [suspect.request_id for suspect in suspects]
        readable = [each.request_id for each in suspects if each.size_bytes <= self._bytes_max]
        canonical = [found for found in map(canonical_id, ids) if found is not None]
        stored = await self._stored.sessions(canonical) if canonical else {}
        here = {str(session_id): each for session_id, each in stored.items()}
        absent = [session_id for session_id in canonical if session_id not in stored]
        occupied = {str(session_id) for session_id in await self._store.made_here(absent)} if absent else set()
        rows = {row.request_id: row for row in await self._origin.sessions(readable)}
        hidden = await self._origin.hidden(ids)
        return [
            self._verdict(each, rows.get(each.request_id), hidden, here.get(each.request_id), occupied)
            for each in suspects
        ]

    def _verdict(
        self,
        suspect: _Suspect,
        row: SourceSession | None,
        hidden: Mapping[str, bool],
        stored: StoredSession | None,
        occupied: Collection[str],
    ) -> VerifiedRow:
        request_id, is_hidden = suspect.request_id, hidden.get(suspect.request_id)
        if is_hidden is None and stored is None:
            return VerifiedRow(request_id, Verdict.LEFT, "gone")
        if stored is None:
            if request_id in occupied and not is_hidden:
                return VerifiedRow(request_id, Verdict.LEFT, str(Reason.ID_IN_USE))
            return self._absent_here(request_id, row, is_hidden=bool(is_hidden))
        if is_hidden is None:
            return VerifiedRow(request_id, Verdict.EXTRA if stored.state is None else Verdict.MOVED_ON)
        if row is None:
            return VerifiedRow(request_id, Verdict.DIFFERS, str(Reason.TOO_LARGE))
        standing = Standing.HIDDEN if is_hidden else Standing.SHOWN
        return judged(row, standing, stored, self._policy, self._clock.now())

    def _absent_here(self, request_id: str, row: SourceSession | None, *, is_hidden: bool) -> VerifiedRow:
        """Return the verdict on a row of which nothing is stored here."""
        if row is None:
            return VerifiedRow(request_id, Verdict.LEFT, str(Reason.TOO_LARGE))
        expected = received(row, self._policy, self._clock.now())
        if isinstance(expected, LeftSession):
            return VerifiedRow(request_id, Verdict.LEFT, str(expected.reason))
        if is_hidden:
            return VerifiedRow(request_id, Verdict.MISSING, fields=("served by neither",))
        made_at = expected.inbound.session.created_at
        if self._own_since is not None and made_at >= self._own_since:
            return VerifiedRow(request_id, Verdict.LEFT, str(Reason.NOT_MOVING))
        return VerifiedRow(request_id, Verdict.MISSING)
