"""The worker pool under random calls: limits hold, no call waits for a free slot, and slots ends."""

import asyncio
import copy
from collections import Counter

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from adapters.sandbox.options import PoolLimits
from adapters.sandbox.pool.slot_table import SlotTable
from adapters.sandbox.pool.worker_pool import WorkerPool
from domain.errors import Overloaded
from domain.identity import ANONYMOUS, Owner
from domain.scripts.language import Language
from domain.scripts.limits import Isolation
from tests.unit.sandbox.fakes import ManualMeter, ManualProcess, SimulatedLoop, pool_run

KINDS = ((Language.PYTHON, 128), (Language.NODEJS, 256))
OWNERS = (ANONYMOUS, Owner("a"), Owner("b"), Owner("c"))
SESSIONS = 9
LIMITS = st.builds(
    PoolLimits,
    slots_max=st.sampled_from((1, 2, 3, 5, 12)),
    session_slots_max=st.integers(1, 4),
    queue_length_max=st.sampled_from((2, 30)),
    queue_timeout_s=st.sampled_from((0.1, 1.0)),
    running_max=st.none() | st.sampled_from((1, 2, 5, 12)),
    owner_running_max=st.none() | st.sampled_from((1, 3)),
    memory_bytes_max=st.none() | st.sampled_from((200 << 20, 700 << 20)),
    session_quick_slots=st.none() | st.integers(1, 2),
)
SESSION = st.integers(0, SESSIONS - 1)
SECONDS = st.sampled_from((0.0, 0.0005, 0.01, 0.3))
KIND = st.sampled_from((*KINDS[:1] * 3, *KINDS))
ISOLATION = st.sampled_from(Isolation)
CALLS = st.tuples(st.just("call"), st.integers(1, 8), SESSION, KIND, ISOLATION, SECONDS, st.integers(5, 100))
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


@define
class World:
    pool: WorkerPool
    calls: list = field(factory=list)

    async def take(self, step):
        name, *arguments = step
        waiting = getattr(self, name)(*arguments)
        if waiting is not None:
            await waiting
        for _ in range(9):
            await asyncio.sleep(0)
        check(self.pool)

    def call(self, count, first, kind, isolation, held_s, memory_mb):  # noqa: PLR0917  # as they are drawn
        """Call `count` sessions at once."""
        for number in range(first, first + count):
            session = number % SESSIONS
            owner, (language, limit_mb) = OWNERS[session % len(OWNERS)], kind
            run = pool_run(session, owner=owner, language=language, memory_mb=limit_mb, isolation=isolation)
            self.calls.append(asyncio.ensure_future(self._run(run, held_s, memory_mb << 20)))

    async def _run(self, run, held_s, memory_bytes):
        try:
            slot = await self.pool.acquire(run)
        except Overloaded:
            return
        slot.process = slot.process or ManualProcess()
        try:
            await asyncio.sleep(held_s)
        finally:
            slot.process.meter = ManualMeter(memory_bytes, memory_bytes // 2)
            self.pool.release(slot, reusable=True)

    def pass_time(self, seconds):
        return asyncio.sleep(seconds)

    def evict(self, session):
        self.pool.evict(session)

    def evict_idle(self, idle_s):
        self.pool.evict_idle(idle_s)

    def die(self, number):
        for slot in list(self.pool.table.idle)[number : number + 1]:
            slot.process.die()

    def cancel(self, number):
        for call in [call for call in self.calls if not call.done()][number : number + 1]:
            call.cancel()

    async def end(self):
        await asyncio.gather(*self.calls, return_exceptions=True)
        assert [call.exception() for call in self.calls if not call.cancelled() and call.exception()] == []
        self.pool.evict_idle(-1.0)
        table = self.pool.table
        assert (len(self.pool.queue), table.count, table.memory_bytes) == (0, 0, 0)
        assert not table.running
        assert not table.held


def check(pool):
    table, limits = pool.table, pool.limits
    slots = [slot for held in table.slots.values() for slot in held]
    running = [slot for slot in slots if slot.is_running]
    assert table.running == Counter(slot.owner for slot in running)
    assert table.held == Counter(slot.owner for slot in slots)
    assert set(table.idle) == set(slots) - set(running)
    assert table.count == len(slots) <= limits.slots_max
    assert table.running_count == len(running) <= (limits.running_max or limits.slots_max)
    assert max(table.running.values(), default=0) <= (limits.owner_running_max or limits.slots_max)
    assert table.memory_bytes == sum(slot.memory_bytes for slot in slots)
    if limits.memory_bytes_max is not None:
        assert table.memory_bytes <= limits.memory_bytes_max or len(running) == 1
    for waiting in pool.queue:
        assert waiting.granted.done() or not could_be_served(pool, waiting)


def could_be_served(pool, waiting):
    now = pool.table
    then = SlotTable(now.limits, now.now)
    parts = copy.deepcopy((now.idle, now.slots, now.unmeasured, now.outdated))
    then.idle, then.slots, then.unmeasured, then.outdated = parts
    then.running, then.held = now.running.copy(), now.held.copy()
    then.count, then.memory_bytes = now.count, now.memory_bytes
    return then.grant(waiting.run, waits_for_own=waiting.waits_for_own) is not None


@given(LIMITS, st.lists(STEP, min_size=5, max_size=40))
def test_limits_hold_no_call_waits_for_a_free_slot_and_everything_ends(limits, steps):
    async def live():
        world = World(WorkerPool(limits, now=asyncio.get_running_loop().time))
        for step in steps:
            await world.take(step)
        await world.end()

    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        runner.run(live())
