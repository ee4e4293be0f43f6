"""Places under whatever calls: bounds hold, nobody waits who could be served, and everything ends."""

import asyncio
import copy
import selectors
from collections import Counter

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from adapters.sandbox.pool.slot import PoolLimits, SlotKind, SlotRequest
from adapters.sandbox.pool.slot_table import SlotTable
from adapters.sandbox.pool.worker_pool import WorkerPool
from domain.errors import Overloaded
from domain.identity import ANONYMOUS, Owner
from domain.scripts.language import Language
from tests.unit.sandbox.fakes import ManualProcess

KINDS = (SlotKind(Language.PYTHON, 128), SlotKind(Language.NODEJS, 256))
OWNERS = (ANONYMOUS, Owner("a"), Owner("b"), Owner("c"))
SESSIONS = 9
LIMITS = st.builds(
    PoolLimits,
    places_max=st.sampled_from((1, 2, 3, 5, 12)),
    session_places_max=st.integers(1, 4),
    queue_length_max=st.sampled_from((2, 30)),
    queue_timeout_s=st.sampled_from((0.1, 1.0)),
    running_max=st.none() | st.sampled_from((1, 2, 5, 12)),
    owner_running_max=st.none() | st.sampled_from((1, 3)),
    memory_bytes_max=st.none() | st.sampled_from((200 << 20, 700 << 20)),
    bursts_max=st.none() | st.integers(1, 2),
)
SESSION = st.integers(0, SESSIONS - 1)
SECONDS = st.sampled_from((0.0, 0.0005, 0.01, 0.3))
KIND = st.sampled_from((*KINDS[:1] * 3, *KINDS))
CALLS = st.tuples(st.just("call"), st.integers(1, 8), SESSION, KIND, st.booleans(), SECONDS, st.integers(5, 100))
STEP = st.one_of(
    CALLS,
    CALLS,
    CALLS,
    st.tuples(st.just("pass_time"), SECONDS),
    st.tuples(st.just("evict"), SESSION),
    st.tuples(st.just("evict_idle"), SECONDS),
    st.tuples(st.just("die"), SESSION),
    st.tuples(st.just("cancel"), SESSION),
)


class HurriedSelector(selectors.SelectSelector):
    """Waits for nothing, and lets its clock say that it has."""

    now_s = 0.0

    def select(self, timeout=None):
        assert timeout is not None, "everybody waits for somebody"
        self.now_s += timeout + (1e-6 if timeout else 0)
        return super().select(0)


class HurriedLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self.hurried = HurriedSelector()
        super().__init__(self.hurried)

    def time(self):
        return self.hurried.now_s


@define
class World:
    places: WorkerPool
    calls: list = field(factory=list)

    async def take(self, step):
        name, *arguments = step
        answer = getattr(self, name)(*arguments)
        if answer is not None:
            await answer
        for _ in range(9):
            await asyncio.sleep(0)
        check(self.places)

    def call(self, count, first, kind, keeps, held_s, memory_mb):  # noqa: PLR0917  # as they are drawn
        """Call so many sessions at once."""
        for number in range(first, first + count):
            session = number % SESSIONS
            request = SlotRequest(session, kind, keeps, OWNERS[session % len(OWNERS)])
            self.calls.append(asyncio.ensure_future(self._run(request, held_s, memory_mb << 20)))

    async def _run(self, request, held_s, memory_bytes):
        try:
            place = await self.places.acquire(request)
        except Overloaded:
            return
        place.process = place.process or ManualProcess()
        try:
            await asyncio.sleep(held_s)
        finally:
            self.places.release(place, reusable=True, memory_bytes=memory_bytes)

    def pass_time(self, seconds):
        return asyncio.sleep(seconds)

    def evict(self, session):
        self.places.evict(session)

    def evict_idle(self, idle_s):
        self.places.evict_idle(idle_s)

    def die(self, number):
        for place in list(self.places.ledger.idle)[number : number + 1]:
            place.process.die()

    def cancel(self, number):
        for call in [call for call in self.calls if not call.done()][number : number + 1]:
            call.cancel()

    async def end(self):
        await asyncio.gather(*self.calls, return_exceptions=True)
        assert [call.exception() for call in self.calls if not call.cancelled() and call.exception()] == []
        self.places.evict_idle(-1.0)
        ledger = self.places.ledger
        assert (self.places.waiting, ledger.count, ledger.memory_bytes) == (0, 0, 0)
        assert not ledger.running
        assert not ledger.held


def check(places):
    ledger, limits = places.ledger, places.limits
    everything = [place for held in ledger._places.values() for place in held]
    running = [place for place in everything if place.is_running]
    assert ledger.running == Counter(place.request.owner for place in running)
    assert ledger.held == Counter(place.request.owner for place in everything)
    assert set(ledger.idle) == set(everything) - set(running)
    assert ledger.count == len(everything) <= limits.places_max
    assert ledger.running_count == len(running) <= (limits.running_max or limits.places_max)
    assert max(ledger.running.values(), default=0) <= (limits.owner_running_max or limits.places_max)
    assert ledger.memory_bytes == sum(place.memory_bytes for place in everything)
    if limits.memory_bytes_max is not None:
        assert ledger.memory_bytes <= limits.memory_bytes_max or len(running) == 1
    for waiting in places._lines._everybody:
        assert waiting.granted.done() or not could_be_served(places, waiting)


def could_be_served(places, waiting):
    if places._beginning.count(waiting.request.session) >= (places.limits.bursts_max or places.limits.places_max):
        return False
    now = places.ledger
    then = SlotTable(now.limits, now.now)
    then.idle, then._places = copy.deepcopy((now.idle, now._places))
    then.running, then.held = now.running.copy(), now.held.copy()
    then.count, then.memory_bytes = now.count, now.memory_bytes
    return then.grant(waiting.request, is_patient=waiting.is_patient) is not None


@given(LIMITS, st.lists(STEP, min_size=5, max_size=40))
def test_bounds_hold_nobody_waits_in_vain_and_everything_ends(limits, steps):
    async def live():
        world = World(WorkerPool(limits, now=asyncio.get_running_loop().time))
        for step in steps:
            await world.take(step)
        await world.end()

    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        runner.run(live())
