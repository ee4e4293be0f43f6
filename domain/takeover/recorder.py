"""Samples the executions that are passed on, while a recording is going on."""

import asyncio
import contextlib
from collections import Counter
from uuid import UUID

from attrs import define, field

from domain.clock import Clock, IdGenerator
from domain.errors import Unavailable
from domain.json_text import JsonText
from domain.takeover.recording import Recorded, RecordedCall, RecordingLimits, RecordingStore, Unrecorded

FLUSH_EACH_S = 1.0
"""How often a process stores its calls, and reads whether to record."""

_SAMPLED_MAX = 64
"""Calls that one process samples between two flushes, each of another session: at most 8 MiB."""
_UNWANTED_MAX = 50_000
_UNWANTED_FLUSHES = 60
"""After so many flushes a session is sampled again: it may have been copied meanwhile."""


@define(eq=False)
class Recorder:
    """Chooses the calls to record, keeps them in memory, and stores them each second.

    A call that is passed on costs a look at a flag while no recording is going on. During one, a process samples 64
    calls per second, each of another session. The sessions of scripts that have enough calls are not sampled, so that
    rare scripts have their turn.
    """

    _store: RecordingStore
    _clock: Clock
    _ids: IdGenerator
    _limits: RecordingLimits = field(factory=RecordingLimits)
    is_sampling: bool = field(default=False, init=False)
    """Whether a further call may be wanted before the next flush."""
    _sampled: set[UUID] = field(factory=set, init=False)
    _unwanted: set[UUID] = field(factory=set, init=False)
    _calls: list[RecordedCall] = field(factory=list, init=False)
    _unrecorded: Counter[Unrecorded] = field(factory=Counter, init=False)
    _flushes: int = field(default=0, init=False)

    def wants(self, session_id: UUID) -> bool:
        """Return whether to record a call of this session now; if so, `add` or `miss` follows."""
        if not self.is_sampling or session_id in self._sampled or session_id in self._unwanted:
            return False
        self._sampled.add(session_id)
        self.is_sampling = len(self._sampled) < _SAMPLED_MAX
        return True

    def add(self, session_id: UUID, params: JsonText, result: JsonText | None) -> None:
        """Keep a call, whose `result` is None if the execution failed. While the time is unknown, none is kept."""
        if len(self._calls) < _SAMPLED_MAX:  # replies that arrive late are those of earlier samples
            with contextlib.suppress(Unavailable):
                self._calls.append(RecordedCall(self._ids.new(self._clock.now()), session_id, params, result))

    def miss(self, reason: Unrecorded) -> None:
        """Count a call that cannot be recorded."""
        self._unrecorded[reason] += 1

    async def flush(self) -> None:
        """Store what was sampled, and read whether to go on; without the database what was sampled is lost."""
        calls, unrecorded = self._calls, self._unrecorded
        self._calls, self._unrecorded = [], Counter()
        try:
            recorded = await self._recorded(calls, unrecorded)
            self.is_sampling = recorded.until is not None and self._clock.now() < recorded.until
        except Unavailable:
            recorded, self.is_sampling = Recorded(None), False
        self._sampled.clear()
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

    def _remember(self, unwanted: frozenset[UUID]) -> None:
        self._flushes += 1
        if self._flushes % _UNWANTED_FLUSHES == 0 or len(self._unwanted) > _UNWANTED_MAX or not self.is_sampling:
            self._unwanted.clear()
        self._unwanted |= unwanted
