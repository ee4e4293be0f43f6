"""Samples the executions that are passed on, while a recording is going on."""

import asyncio
import contextlib
from collections import Counter
from datetime import datetime
from enum import StrEnum
from uuid import UUID
from weakref import WeakSet

from attrs import define, field

from domain.clock import Clock, IdGenerator
from domain.errors import Unavailable
from domain.json_text import JsonText
from domain.takeover.recording import (
    BODY_SIZE_MAX,
    Recorded,
    RecordedCall,
    RecordingLimits,
    RecordingStore,
    Unrecorded,
)

FLUSH_EACH_S = 1.0
"""How often a process stores its calls, and reads whether to record."""

_SAMPLED_MAX = 64
"""Calls that one process samples between two flushes, each of another session, and samples whose calls have not ended.

As many wait to be stored, and as many are being stored: 24 MiB at most.
"""
_UNWANTED_MAX = 50_000
_UNWANTED_FLUSHES = 60
"""After so many flushes a session is sampled again: it may have been copied meanwhile."""


class SampleOutcome(StrEnum):
    """What became of a sampled call in one process.

    STORED: the database keeps it. UNWANTED: its session has no copy, its script has enough calls, or the recording was
    discarded. TOO_LARGE, UNREADABLE: as in Unrecorded. LOST: the database was not available.
    """

    STORED = "stored"
    UNWANTED = "unwanted"
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"
    LOST = "lost"


class BodyTooLarge(Exception):
    """A body is larger than what is recorded."""


class RecordedBody:
    """A body as it passes; nothing of one that is larger than BODY_SIZE_MAX."""

    def __init__(self) -> None:
        self._content: bytearray | None = bytearray()

    def add(self, piece: bytes) -> None:
        """Keep a piece."""
        if self._content is None or len(self._content) + len(piece) > BODY_SIZE_MAX:
            self._content = None
        else:
            self._content += piece

    def whole(self) -> bytes:
        """Return the whole body; raises BodyTooLarge."""
        if self._content is None:
            raise BodyTooLarge
        return bytes(self._content)


@define(eq=False)
class Sample:
    """A call that is recorded when it has ended: what has passed of its bodies."""

    session_id: UUID
    sent: RecordedBody = field(factory=RecordedBody)
    received: RecordedBody = field(factory=RecordedBody)


@define(eq=False)
class Recorder:
    """Chooses the calls to record, keeps them in memory, and stores them each second.

    A call that is passed on costs a look at a flag while no recording is going on, and never waits for the database.
    During a recording, a process samples 64 calls per second, each of another session. The sessions of scripts that
    have enough calls are not sampled, so that rare scripts have their turn.
    """

    _store: RecordingStore
    _clock: Clock
    _ids: IdGenerator
    _limits: RecordingLimits = field(factory=RecordingLimits)
    is_recording: bool = field(default=False, init=False)
    is_sampling: bool = field(default=False, init=False)
    """Whether a further call may be sampled before the next flush."""
    outcomes: Counter[SampleOutcome] = field(factory=lambda: Counter(dict.fromkeys(SampleOutcome, 0)), init=False)
    """What became of the calls that this process has sampled."""
    _sampled: set[UUID] = field(factory=set, init=False)
    _open: WeakSet[Sample] = field(factory=WeakSet, init=False)
    _unwanted: set[UUID] = field(factory=set, init=False)
    _calls: list[RecordedCall] = field(factory=list, init=False)
    _unrecorded: Counter[Unrecorded] = field(factory=Counter, init=False)
    _flushes: int = field(default=0, init=False)

    def sample(self, session_id: UUID) -> Sample | None:
        """Return a sample to keep a call of this session in; None if the call is not wanted.

        A sample that nothing refers to any more makes room for another one.
        """
        if not self.is_sampling or session_id in self._sampled or session_id in self._unwanted:
            return None
        self._sampled.add(session_id)
        self._open.add(sample := Sample(session_id))
        self.is_sampling = max(len(self._sampled), len(self._open)) < _SAMPLED_MAX
        return sample

    def add(self, session_id: UUID, params: JsonText, result: JsonText | None) -> None:
        """Keep a call, whose `result` is None if the execution failed. While the time is unknown, none is kept."""
        if len(self._calls) < _SAMPLED_MAX:  # replies that arrive late are those of earlier samples
            with contextlib.suppress(Unavailable):
                self._calls.append(RecordedCall(self._ids.new(self._clock.now()), session_id, params, result))

    def miss(self, reason: Unrecorded) -> None:
        """Count a call that is too large or unreadable."""
        self._unrecorded[reason] += 1

    async def flush(self) -> None:
        """Store what was sampled, and read whether to go on; without the database what was sampled is lost."""
        calls, unrecorded = self._calls, self._unrecorded
        self._calls, self._unrecorded = [], Counter()
        for reason, number in unrecorded.items():
            self.outcomes[SampleOutcome(reason)] += number
        try:
            recorded = await self._recorded(calls, unrecorded)
        except Unavailable:
            recorded = Recorded(None)
            self.outcomes[SampleOutcome.LOST] += len(calls)
        else:
            self._count(calls, recorded)
        self.is_recording = self._is_before(recorded.until)
        self._sampled.clear()
        self.is_sampling = self.is_recording and len(self._open) < _SAMPLED_MAX
        self._remember(recorded.unwanted)

    async def run(self) -> None:
        """Flush each second; never returns."""
        while True:
            await self.flush()
            await asyncio.sleep(FLUSH_EACH_S)

    async def _recorded(self, calls: list[RecordedCall], unrecorded: Counter[Unrecorded]) -> Recorded:
        if calls or unrecorded:
            return await self._store.record(calls, unrecorded, self._limits)
        recording = await self._store.recording()
        return Recorded(None if recording is None else recording.until)

    def _is_before(self, until: datetime | None) -> bool:
        """Return whether an instant is still to come; False while the time is unknown."""
        with contextlib.suppress(Unavailable):
            return until is not None and self._clock.now() < until
        return False

    def _count(self, calls: list[RecordedCall], recorded: Recorded) -> None:
        unwanted = sum(recorded.until is None or call.session_id in recorded.unwanted for call in calls)
        self.outcomes[SampleOutcome.UNWANTED] += unwanted
        self.outcomes[SampleOutcome.STORED] += len(calls) - unwanted

    def _remember(self, unwanted: frozenset[UUID]) -> None:
        self._flushes += 1
        if self._flushes % _UNWANTED_FLUSHES == 0 or len(self._unwanted) > _UNWANTED_MAX or not self.is_recording:
            self._unwanted.clear()
        self._unwanted |= unwanted
