"""Recorded calls in memory."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from attrs import define, evolve
from typing_extensions import override

from adapters.memory.store import MemoryStore
from domain.takeover.judgement import Judgement
from domain.takeover.ports import TakeoverStore
from domain.takeover.recording import (
    Recorded,
    RecordedCall,
    RecordedCounts,
    Recording,
    RecordingLimits,
    RecordingStore,
    Unrecorded,
)
from domain.takeover.stages import Stage

_NIL = UUID(int=0)
_NONE = dict.fromkeys(Unrecorded, 0)


@define(eq=False)
class MemoryRecordingStore(RecordingStore):
    """The calls are rows of the store, so that the end of a takeover removes them."""

    _store: MemoryStore
    _takeovers: TakeoverStore

    @override
    async def recording(self) -> Recording | None:
        self._store.require_available()
        return self._store.recording

    @override
    async def start(self, now: datetime, until: datetime) -> Recording | None:
        takeover, last = await self._takeovers.takeover(), await self.recording()
        if takeover is None or takeover.stage is Stage.FINISHED:
            return None
        is_going_on = last is not None and last.until > now
        kept = last.unrecorded if is_going_on and last is not None else _NONE
        self._store.recording = Recording(until if last is None else max(until, last.until), kept)
        return self._store.recording

    @override
    async def record(
        self, calls: Sequence[RecordedCall], unrecorded: Mapping[Unrecorded, int], limits: RecordingLimits
    ) -> Recorded:
        recording = await self.recording()
        if recording is None:
            return Recorded(None)
        stored_before, unwanted = dict(self._store.recorded), set()
        for call in sorted(calls, key=lambda each: each.call_id):
            if self._script_of(call) is not None and self._has_room(call, stored_before, limits):
                self._store.recorded[call.call_id] = call
            else:
                unwanted.add(call.session_id)
        uncopied = sum(self._script_of(call) is None for call in calls)
        counted = Counter(recording.unrecorded) + Counter(unrecorded) + Counter({Unrecorded.UNCOPIED: uncopied})
        self._store.recording = evolve(recording, unrecorded={**_NONE, **counted})
        return Recorded(recording.until, frozenset(unwanted))

    def _has_room(
        self, call: RecordedCall, stored_before: Mapping[UUID, RecordedCall], limits: RecordingLimits
    ) -> bool:
        stored = list(self._store.recorded.values())
        of_script = sum(self._script_of(each) == self._script_of(call) for each in stored)
        return (
            len(stored) < limits.calls_max
            and of_script < limits.script_share(len(stored_before))
            and sum(each.size_bytes for each in [*stored, call]) <= limits.size_max_bytes
        )

    def _script_of(self, call: RecordedCall) -> str | None:
        copy = self._store.inbound.get(call.session_id)
        return None if copy is None else copy.session.script_hash

    @override
    async def unjudged(self, after: UUID | None, size: int) -> Sequence[RecordedCall]:
        self._store.require_available()
        calls = [each for each in self._store.recorded.values() if each.call_id not in self._store.judgements]
        return sorted((each for each in calls if each.call_id > (after or _NIL)), key=lambda each: each.call_id)[:size]

    @override
    async def judge(self, judgements: Sequence[Judgement]) -> None:
        self._store.require_available()
        known = {each.call_id: each for each in judgements if each.call_id in self._store.recorded}
        self._store.judgements.update(known)

    @override
    async def judgements(self, after: UUID | None, size: int) -> Sequence[Judgement]:
        self._store.require_available()
        known = sorted(self._store.judgements.items())
        return [judgement for call_id, judgement in known if call_id > (after or _NIL)][:size]

    @override
    async def forget_judgements(self) -> None:
        self._store.require_available()
        self._store.judgements.clear()

    @override
    async def counts(self) -> RecordedCounts:
        self._store.require_available()
        scripts = {self._script_of(each) for each in self._store.recorded.values()}
        return RecordedCounts(len(self._store.recorded), len(self._store.judgements), len(scripts))

    @override
    async def discard(self) -> int:
        self._store.require_available()
        return self._store.forget_recordings()
