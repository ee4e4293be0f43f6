"""The front samples calls while a recording is going on."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from attrs import define, field
from typing_extensions import override

from adapters.memory.manual_clock import ManualClock
from adapters.memory.recordings import MemoryRecordingStore
from adapters.memory.sequential_ids import SequentialIds
from adapters.memory.store import MemoryStore
from adapters.memory.takeover import MemoryTakeoverStore
from domain.clock import Clock
from domain.errors import StorageUnavailable
from domain.json_text import JsonText
from domain.takeover.recorder import Recorder, SampleOutcome
from domain.takeover.recording import RecordedCall, Recording, RecordingLimits, Unrecorded
from tests.contracts.recording_store import MINUTE
from tests.contracts.takeover_store import id_of, inbound, origin_id, receive, takeover_of
from tests.support.waiting import until
from tests.unit.test_memory_contracts import memory_storage

PARAMS, RESULT = JsonText("{}"), JsonText("1")
OTHERS = [UUID(int=number) for number in range(100)]


class UnknownTime(Clock):
    """A clock before the first contact with the database."""

    @override
    def now(self) -> datetime:
        raise StorageUnavailable


@define(eq=False)
class StuckStore(MemoryRecordingStore):
    """Its first reading of the recording does not end before the test lets it."""

    reached: asyncio.Event = field(factory=asyncio.Event)
    goes_on: asyncio.Event = field(factory=asyncio.Event)

    @override
    async def recording(self) -> Recording | None:
        self.reached.set()
        await self.goes_on.wait()
        return await super().recording()


@define(slots=False)
class World:
    """A recorder with a store in memory."""

    memory: MemoryStore = field(factory=MemoryStore)
    limits: RecordingLimits = field(factory=RecordingLimits)

    def __attrs_post_init__(self) -> None:
        self.storage = memory_storage(self.memory)
        self.clock: ManualClock = self.storage.clock
        self.takeovers = MemoryTakeoverStore(self.memory)
        self.store = MemoryRecordingStore(self.memory, self.takeovers)
        self.recorder = Recorder(self.store, self.clock, SequentialIds(), self.limits)

    async def begin(self) -> UUID:
        """Begin a recording of a minute, with one copy; return its id."""
        await self.takeovers.begin(takeover_of(self.storage))
        copy = inbound(self.storage)
        await receive(self.takeovers, copy)
        now = self.clock.now()
        await self.store.start(now, now + MINUTE)
        await self.recorder.flush()
        return id_of(copy)

    def counted(self) -> dict[SampleOutcome, int]:
        return {outcome: number for outcome, number in self.recorder.outcomes.items() if number}

    async def stored(self) -> list[RecordedCall]:
        return list(await self.store.unjudged(None, 1000))


async def test_no_call_is_wanted_while_nothing_is_recorded():
    world = World()
    await world.recorder.flush()
    assert not world.recorder.is_sampling
    assert world.recorder.sample(origin_id(0)) is None


async def test_a_call_is_stored_by_the_next_flush():
    world = World()
    session_id = await world.begin()
    assert world.recorder.is_sampling
    assert world.recorder.sample(session_id) is not None
    world.recorder.add(session_id, PARAMS, RESULT)
    assert await world.stored() == []
    await world.recorder.flush()
    (call,) = await world.stored()
    assert (call.session_id, call.params, call.result) == (session_id, PARAMS, RESULT)
    await world.recorder.flush()
    assert len(await world.stored()) == 1


async def test_while_it_runs_calls_are_stored():
    world = World()
    session_id = await world.begin()
    world.recorder.sample(session_id)
    world.recorder.add(session_id, PARAMS, RESULT)
    running = asyncio.create_task(world.recorder.run())
    await until(world.stored)
    running.cancel()


async def test_one_call_of_a_session_is_sampled_between_two_flushes():
    world = World()
    session_id = await world.begin()
    assert [world.recorder.sample(session_id) is not None for _ in range(3)] == [True, False, False]
    await world.recorder.flush()
    assert world.recorder.sample(session_id) is not None


async def test_the_sample_of_a_second_is_bounded():
    world = World()
    await world.begin()
    assert sum(world.recorder.sample(each) is not None for each in OTHERS) == 64
    for each in OTHERS:
        world.recorder.add(each, PARAMS, RESULT)
    await world.recorder.flush()
    assert (await world.store.recording()).unrecorded[Unrecorded.UNCOPIED] == 64
    assert world.counted() == {SampleOutcome.UNWANTED: 64}


async def test_calls_that_do_not_end_take_the_room_of_others():
    world = World()
    session_id = await world.begin()
    held = [world.recorder.sample(each) for each in OTHERS[:63]]
    await world.recorder.flush()
    held.append(world.recorder.sample(session_id))
    assert None not in held
    await world.recorder.flush()
    assert not world.recorder.is_sampling
    held.clear()
    await world.recorder.flush()
    assert world.recorder.sample(session_id) is not None


async def test_a_call_never_waits_for_the_database():
    world = World()
    session_id = await world.begin()
    world.recorder = Recorder(stuck := StuckStore(world.memory, world.takeovers), world.clock, SequentialIds())
    flush = asyncio.ensure_future(world.recorder.flush())
    await stuck.reached.wait()
    world.recorder.add(session_id, PARAMS, RESULT)
    world.recorder.miss(Unrecorded.TOO_LARGE)
    assert not flush.done()
    stuck.goes_on.set()
    await flush
    await world.recorder.flush()
    assert len(await world.stored()) == 1


async def test_a_session_whose_script_has_enough_calls_makes_room_for_others_for_a_minute():
    world = World(limits=RecordingLimits(script_calls_max=1))
    session_id = await world.begin()
    for _ in range(2):
        assert world.recorder.sample(session_id) is not None
        world.recorder.add(session_id, PARAMS, RESULT)
        await world.recorder.flush()
    assert world.counted() == {SampleOutcome.STORED: 1, SampleOutcome.UNWANTED: 1}
    assert world.recorder.sample(session_id) is None
    assert world.recorder.sample(origin_id(5)) is not None
    for _ in range(60):
        await world.recorder.flush()
    assert world.recorder.sample(session_id) is not None


async def test_calls_that_cannot_be_recorded_are_counted():
    world = World()
    await world.begin()
    world.recorder.miss(Unrecorded.TOO_LARGE)
    await world.recorder.flush()
    assert (await world.store.recording()).unrecorded[Unrecorded.TOO_LARGE] == 1
    assert world.counted() == {SampleOutcome.TOO_LARGE: 1}


async def test_the_recording_ends_at_its_instant_and_late_replies_are_stored():
    world = World()
    session_id = await world.begin()
    world.clock.advance(MINUTE)
    world.recorder.add(session_id, PARAMS, RESULT)
    await world.recorder.flush()
    assert not world.recorder.is_sampling
    assert len(await world.stored()) == 1


async def test_without_the_database_nothing_is_recorded_and_the_sample_is_lost():
    world = World()
    session_id = await world.begin()
    world.recorder.add(session_id, PARAMS, RESULT)
    world.memory.failure = StorageUnavailable()
    await world.recorder.flush()
    assert not world.recorder.is_sampling
    world.memory.failure = None
    await world.recorder.flush()
    assert world.recorder.is_sampling
    assert await world.stored() == []
    assert world.counted() == {SampleOutcome.LOST: 1}


async def test_a_call_is_not_disturbed_while_the_time_is_unknown():
    world = World()
    session_id = await world.begin()
    world.recorder = Recorder(world.store, UnknownTime(), SequentialIds())
    world.recorder.add(session_id, PARAMS, RESULT)
    await world.recorder.flush()
    assert not world.recorder.is_sampling
    assert await world.stored() == []


@pytest.mark.parametrize("length", [MINUTE, timedelta(0)])
async def test_a_discarded_recording_is_over_at_the_next_flush(length):
    world = World()
    await world.begin()
    await world.store.discard()
    world.recorder.add(origin_id(0), PARAMS, RESULT)
    world.clock.advance(length)
    await world.recorder.flush()
    assert not world.recorder.is_sampling
    assert world.counted() == {SampleOutcome.UNWANTED: 1}
