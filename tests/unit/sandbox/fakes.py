"""Worker processes that a test controls, small pools of them, and a loop with a clock of its own."""

import asyncio
import selectors
from collections.abc import Callable
from uuid import UUID

from attrs import define, field

from adapters.sandbox.options import MIB, PoolLimits
from adapters.sandbox.pool.worker_pool import WorkerPool
from adapters.sandbox.zygote.launch import LaunchFailed
from domain.identity import ANONYMOUS, Owner, SessionRef
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.ports import ScriptRun
from tests.contracts.script_runs import run_of


@define
class ManualMeter:
    """Shows what a test says; with `private_bytes`, a measurement finds that the worker costs so much.

    A former measurement of an outdated one still counts.
    """

    cost_bytes: int = 128 * MIB
    private_bytes: int | None = None
    is_outdated: bool = False
    has_background_activity: bool = False

    @property
    def counts_shared(self) -> bool:
        return self.private_bytes is not None and not self.is_outdated

    @property
    def is_cost_known(self) -> bool:
        return self.private_bytes is None

    def measure_cost(self) -> None:
        assert self.private_bytes is not None
        self.cost_bytes, self.private_bytes = self.private_bytes, None


@define(eq=False)
class ManualProcess:
    """A worker that lives until it is killed or dies on request."""

    alive: bool = True
    killed: bool = False
    meter: ManualMeter = field(factory=ManualMeter)
    on_death: Callable[[], None] | None = None

    @property
    def is_alive(self) -> bool:
        return self.alive

    def when_dead(self, callback: Callable[[], None] | None) -> None:
        self.on_death = callback

    def kill(self) -> None:
        self.alive, self.killed = False, True

    def die(self) -> None:
        self.alive = False
        assert self.on_death is not None
        self.on_death()


@define(eq=False)
class ManualStarter:
    """Starts workers at once or after `start_s`, or fails, or waits until `gate` is set."""

    failure: str | None = None
    gate: asyncio.Event | None = None
    start_s: float = 0.0
    started: list[ManualProcess] = field(factory=list)
    begun: int = 0

    async def __call__(self) -> ManualProcess:
        self.begun += 1
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(self.start_s)
        if self.failure is not None:
            raise LaunchFailed(self.failure)
        process = ManualProcess()
        self.started.append(process)
        return process


def pool_run(
    session: int,
    *,
    owner: str = ANONYMOUS,
    language: Language = Language.PYTHON,
    memory_mb: int = 128,
    isolation: Isolation = Isolation.SESSION,
) -> ScriptRun:
    """Return a run of the session with this number."""
    ref, limits = SessionRef(Owner(owner), UUID(int=session)), Limits(5000, memory_mb, isolation)
    return run_of("", ref=ref, language=language, limits=limits)


def pool_of(slots_max=2, session_slots_max=2, queue_length_max=2, queue_timeout_s=5.0, **more):
    """Return a small pool with these limits."""
    return WorkerPool(PoolLimits(slots_max, session_slots_max, queue_length_max, queue_timeout_s, **more))


async def taken(pool, session, **wanted):
    """Acquire a slot for a run of the session, with a worker in it."""
    slot = await pool.acquire(pool_run(session, **wanted))
    slot.process = slot.process or ManualProcess()
    return slot


def give_back(pool, slot, memory_mb=12, private_mb=None, *, is_outdated=False):
    """Give back a slot whose worker then counts `memory_mb`, and `private_mb` once it is measured."""
    slot.process.meter = ManualMeter(memory_mb * MIB, None if private_mb is None else private_mb * MIB, is_outdated)
    pool.release(slot, reusable=True)


async def queued(pool, session, **wanted):
    """Start to acquire a slot, and return the call after its first turn of the loop."""
    task = asyncio.ensure_future(taken(pool, session, **wanted))
    await asyncio.sleep(0)
    return task


class SimulatedSelector(selectors.SelectSelector):
    """Does not wait, and advances its clock instead."""

    now_s = 0.0

    def select(self, timeout=None):
        assert timeout is not None, "every task waits for another"
        self.now_s += timeout + (1e-6 if timeout else 0)
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while every task waits."""

    def __init__(self):
        self.simulated = SimulatedSelector()
        super().__init__(self.simulated)

    def time(self):
        return self.simulated.now_s
