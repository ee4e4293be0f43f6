"""Copies the sessions of the origin, batch by batch, beside everything that uses them."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from uuid import UUID

from attrs import define, evolve, field, frozen, validators

from domain.clock import Clock
from domain.concurrency.pace import Pace
from domain.concurrency.pipeline import ahead, divided, overlapped
from domain.json_text import JsonText
from domain.takeover.moving import InboundSession, Progress, Received, Takeover
from domain.takeover.plan import OFFSET_MAX
from domain.takeover.ports import TakeoverStore
from domain.takeover.reader_ports import OriginReader, RowHead
from domain.takeover.reasons import Flag, Reason
from domain.takeover.receiving import received
from domain.takeover.source_session import AcceptedSession, LeftSession, SourceSession, TakeoverPolicy
from domain.takeover.stages import Stage

COPY = "copy"
"""The name under which the progress is stored."""

_ROWS_MAX = 1000
_NEEDS_COPIES = frozenset({Stage.OPEN, Stage.ADOPT})
_NEEDS_NONE = frozenset({Stage.BACK, Stage.FINISHED})
_FIRST = datetime(1, 1, 1, tzinfo=UTC)


@frozen
class CopyLimits:
    """The rows and bytes of one batch."""

    rows_max: int = field(default=_ROWS_MAX, validator=[validators.ge(1), validators.le(_ROWS_MAX)])
    bytes_max: int = field(default=8 * 1024 * 1024, validator=validators.ge(1))


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


@frozen
class _Batch:
    """The rows of consecutive heads."""

    heads: Sequence[RowHead]
    rows: Sequence[SourceSession]
    large: Sequence[RowHead]
    """Those that are larger than a batch, and were not read."""


@frozen
class _JudgedBatch:
    """What becomes of a batch, whose last row has the cursor; the step lacks what the store does with it."""

    step: CopyStep
    accepted: Sequence[InboundSession]
    cursor: JsonText


@define(eq=False)
class Copier:
    """Reads rows, converts them, and stores them with the progress. A killed run continues behind its last batch.

    `room` returns how many bytes may still be stored, None if that is unknown. `pace` is that of rows.
    """

    _reader: OriginReader
    _store: TakeoverStore
    _policy: TakeoverPolicy
    _clock: Clock
    _limits: CopyLimits
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
            aclosing(ahead(self._batches())) as batches,
            aclosing(overlapped(self._judged(batches), store)) as steps,
        ):
            async for step in steps:
                yield step
        self._progress = evolve(self._progress, after=None, passes=self._progress.passes + 1)
        if not dry_run:
            await self._store.note(COPY, self._progress)

    async def _stored_progress(self) -> Progress:
        takeover = await self._store.takeover()
        return Progress() if takeover is None else takeover.progress.get(COPY, Progress())

    async def _batches(self) -> AsyncIterator[_Batch]:
        after, expired_after = self._progress.after, self._policy.expired_after(self._clock.now())
        while heads := await self._reader.heads(after, expired_after, self._limits.rows_max):
            for batch in divided(heads, self._read_bytes, self._limits.rows_max, self._limits.bytes_max):
                await self._pace.wait(len(batch))
                small = [head for head in batch if head.size_bytes <= self._limits.bytes_max]
                rows = await self._reader.sessions([head.request_id for head in small]) if small else ()
                yield _Batch(batch, rows, [head for head in batch if head.size_bytes > self._limits.bytes_max])
            after = heads[-1].cursor

    def _read_bytes(self, head: RowHead) -> int:
        """Return how many bytes of a row are read: none of one that is larger than a batch."""
        return head.size_bytes if head.size_bytes <= self._limits.bytes_max else 0

    async def _judged(self, batches: AsyncIterator[_Batch]) -> AsyncIterator[_JudgedBatch]:
        async for batch in batches:
            yield await self._judge(batch)

    async def _judge(self, batch: _Batch) -> _JudgedBatch:
        now = self._clock.now()
        found = [received(row, self._policy, now) for row in batch.rows]
        acceptable = [each for each in found if isinstance(each, AcceptedSession)]
        occupied = await self._occupied(acceptable)
        accepted = [each for each in acceptable if each.inbound.session.ref.session_id not in occupied]
        left = [each for each in found if isinstance(each, LeftSession)]
        left += [LeftSession(head.request_id, Reason.TOO_LARGE) for head in batch.large]
        left += [LeftSession(str(session_id), Reason.ID_IN_USE) for session_id in sorted(occupied)]
        flagged = [
            FlaggedSession(str(each.inbound.session.ref.session_id), each.flags) for each in accepted if each.flags
        ]
        size_bytes = sum(head.size_bytes for head in batch.heads)
        step = CopyStep(len(batch.heads), size_bytes, Received(), left, flagged)
        return _JudgedBatch(step, [each.inbound for each in accepted], batch.heads[-1].cursor)

    async def _occupied(self, sessions: Sequence[AcceptedSession]) -> Collection[UUID]:
        """Return the ids that sessions made here have; only ids of one kind can be such."""
        ids = [each.inbound.session.ref.session_id for each in sessions if Flag.ID_LOOKS_OWN in each.flags]
        return await self._store.made_here(ids) if ids else ()

    async def _receive(self, judged: _JudgedBatch) -> CopyStep:
        step, before = judged.step, self._progress
        await self._require_room(step.size_bytes)
        self._progress = evolve(
            before,
            after=judged.cursor,
            examined=before.examined + step.examined,
            size_bytes=before.size_bytes + step.size_bytes,
        )
        return evolve(step, received=await self._store.receive(judged.accepted, COPY, self._progress))

    async def _forget(self, judged: _JudgedBatch) -> CopyStep:
        return judged.step

    async def _require_room(self, needed_bytes: int) -> None:
        """Raise NoRoom if a batch, with its indexes and log, may not fit."""
        free_bytes = await self._room()
        if free_bytes is not None and free_bytes < _ROOM_FACTOR * needed_bytes:
            raise NoRoom(free_bytes, _ROOM_FACTOR * needed_bytes)


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
