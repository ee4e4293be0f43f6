"""Copies the sessions of the origin, page by page, beside everything that uses them."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime

from attrs import define, evolve, field, frozen

from domain.clock import Clock
from domain.concurrency.pace import Pace
from domain.concurrency.pipeline import ahead, overlapped
from domain.takeover.moving import InboundSession, Progress, Received, Takeover
from domain.takeover.ordinary import PageLimits, RowKind, RowPage
from domain.takeover.plan import OFFSET_MAX
from domain.takeover.ports import TakeoverStore
from domain.takeover.reader_ports import OriginReader
from domain.takeover.reasons import Flag, Reason
from domain.takeover.receiving import received
from domain.takeover.source_session import AcceptedSession, LeftSession, SourceSession, TakeoverPolicy
from domain.takeover.stages import Stage

COPY = "copy"
"""The name under which the progress is stored."""

_NEEDS_COPIES = frozenset({Stage.OPEN, Stage.ADOPT})
_NEEDS_NONE = frozenset({Stage.BACK, Stage.FINISHED})
_FIRST = datetime(1, 1, 1, tzinfo=UTC)


@frozen
class FlaggedSession:
    """A session that is copied, with what is unusual about it."""

    request_id: str
    flags: Sequence[Flag]


@frozen
class CopyStep:
    """A batch that is stored: what was examined, what the store did with it, and what the operator should know."""

    examined: int
    size_bytes: int
    received: Received
    left: Sequence[LeftSession]
    flagged: Sequence[FlaggedSession]


@define(eq=False)
class NoRoom(RuntimeError):
    """The target has not enough space for the next batch; the sizes are in bytes. No caller of the API gets it."""

    free_bytes: int
    needed_bytes: int

    @property
    def message(self) -> str:
        return (
            f"The copy stopped before the disk or STORAGE_MAX_GB is full: {self.free_bytes:,} bytes are left, and the "
            f"next batch needs about {self.needed_bytes:,}. What was copied is kept. Make room, and repeat the "
            "command: it continues."
        )

    def __str__(self) -> str:
        return self.message


_Verdict = AcceptedSession | LeftSession
_ReadPage = tuple[RowPage, Sequence[SourceSession]]
"""A page, with those of its rows that are read whole."""


@frozen
class _JudgedPage:
    """What becomes of a page; the step lacks what the store does with it. `copies` has that of each kind."""

    step: CopyStep
    page: RowPage
    copies: Sequence[InboundSession | None]
    accepted: Sequence[InboundSession]


@define(eq=False)
class Copier:
    """Reads rows, converts them, and stores them with the progress. A killed run continues behind its last batch.

    `room` returns how many bytes may still be stored, None if that is unknown. `pace` is that of rows.
    """

    _reader: OriginReader
    _store: TakeoverStore
    _policy: TakeoverPolicy
    _clock: Clock
    _limits: PageLimits
    _room: Callable[[], Awaitable[int | None]]
    _pace: Pace
    _progress: Progress = field(init=False, factory=Progress)

    async def total(self) -> int:
        """Return about how many rows a pass examines; raises SourceUnavailable or SourceRefused."""
        return await self._reader.estimate(self._policy.expired_after(self._clock.now()))

    async def run(self, *, dry_run: bool = False) -> AsyncGenerator[CopyStep]:
        """Make one pass, or complete the one that was interrupted; without writing if it is a dry run.

        Raises NoRoom before a batch that does not fit, SourceUnavailable, SourceRefused, StorageUnavailable or
        Overloaded. Repeating continues.
        """
        self._progress = Progress() if dry_run else await self._stored_progress()
        if self._progress.after is None:
            self._progress = evolve(self._progress, began_at=self._clock.now().isoformat())
        store = self._forget if dry_run else self._receive
        async with (
            aclosing(ahead(self._pages())) as pages,
            aclosing(overlapped(self._judged(pages), store)) as steps,
        ):
            async for step in steps:
                yield step
        self._progress = evolve(self._progress, after=None, passes=self._progress.passes + 1)
        if not dry_run:
            await self._store.note(COPY, self._progress)

    async def _stored_progress(self) -> Progress:
        takeover = await self._store.takeover()
        return Progress() if takeover is None else takeover.progress.get(COPY, Progress())

    async def _pages(self) -> AsyncIterator[_ReadPage]:
        after = self._progress.after
        while page := await self._reader.page(after, self._limits, self._policy, self._clock.now()):
            await self._pace.wait(page.examined)
            yield page, await self._reader.sessions(page.odd) if page.odd else ()
            after = page.cursor

    async def _judged(self, pages: AsyncIterator[_ReadPage]) -> AsyncIterator[_JudgedPage]:
        async for page, rows in pages:
            yield await self._judge(page, rows)

    async def _judge(self, page: RowPage, rows: Sequence[SourceSession]) -> _JudgedPage:
        now, ordinary = self._clock.now(), page.ordinary
        kinds = [self._verdict(kind) for kind in ordinary.kinds]
        odd = await self._unless_occupied({row.request_id: received(row, self._policy, now) for row in rows})
        reported = {number for number, kind in enumerate(kinds) if isinstance(kind, LeftSession) or kind.flags}
        numbered = enumerate(ordinary.kind_numbers) if reported else ()
        told = ((ordinary.ids[row], kinds[number]) for row, number in numbered if number in reported)
        found = [*odd.items(), *told]
        left = [LeftSession(request_id, each.reason) for request_id, each in found if isinstance(each, LeftSession)]
        left += [LeftSession(request_id, Reason.TOO_LARGE) for request_id in page.large]
        flagged = [
            FlaggedSession(request_id, each.flags)
            for request_id, each in found
            if isinstance(each, AcceptedSession) and each.flags
        ]
        step = CopyStep(page.examined, page.size_bytes, Received(), left, flagged)
        copies = [_copy(each) for each in kinds]
        return _JudgedPage(step, page, copies, [copy for copy in map(_copy, odd.values()) if copy is not None])

    def _verdict(self, kind: RowKind) -> _Verdict:
        """Return what becomes of ordinary rows of a kind."""
        row, at = kind.example()
        return received(row, self._policy, at)

    async def _unless_occupied(self, found: Mapping[str, _Verdict]) -> Mapping[str, _Verdict]:
        """Return the verdicts, but leave ids that sessions made here have; only ids of one kind can be such."""
        own = {
            each.inbound.session.ref.session_id
            for each in found.values()
            if isinstance(each, AcceptedSession) and Flag.ID_LOOKS_OWN in each.flags
        }
        occupied = map(str, await self._store.made_here(sorted(own)) if own else ())
        return {**found, **{each: LeftSession(each, Reason.ID_IN_USE) for each in occupied}}

    async def _receive(self, judged: _JudgedPage) -> CopyStep:
        step, before = judged.step, self._progress
        await self._require_room(step.size_bytes)
        odd = await self._store.receive(judged.accepted, COPY, before) if judged.accepted else Received()
        self._progress = evolve(
            before,
            after=judged.page.cursor,
            examined=before.examined + step.examined,
            size_bytes=before.size_bytes + step.size_bytes,
        )
        ordinary = await self._store.receive_ordinary(judged.page.ordinary, judged.copies, COPY, self._progress)
        return evolve(step, received=ordinary.plus(odd))

    async def _forget(self, judged: _JudgedPage) -> CopyStep:
        return judged.step

    async def _require_room(self, needed_bytes: int) -> None:
        """Raise NoRoom if a batch, with its indexes and log, may not fit."""
        free_bytes = await self._room()
        if free_bytes is not None and free_bytes < _ROOM_FACTOR * needed_bytes:
            raise NoRoom(free_bytes, _ROOM_FACTOR * needed_bytes)


def _copy(found: _Verdict) -> InboundSession | None:
    return found.inbound if isinstance(found, AcceptedSession) else None


def own_since(takeover: Takeover | None) -> datetime | None:
    """Return since when sessions that were made at the origin are its own, and need no copy; None: each needs one.

    While sessions move here, or before a takeover, each needs one. After the copies were dropped, or on the way back,
    none does. Before `open`, those that were made after the last pass of `copy` began belong to the next pass.
    """
    if takeover is None or takeover.stage in _NEEDS_COPIES:
        return None
    copied = takeover.progress.get(COPY)
    if takeover.stage in _NEEDS_NONE or copied is None or copied.began_at is None:
        return _FIRST
    return datetime.fromisoformat(copied.began_at) - OFFSET_MAX


_ROOM_FACTOR = 3
"""The log has each row too, and indexes grow by pages."""
