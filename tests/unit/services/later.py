"""Executions that run later, over fakes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from attrs import define, field

from adapters.memory.audit import MemoryAudit
from adapters.memory.manual_clock import no_jitter
from adapters.memory.queue import MemoryExecutionQueue
from adapters.memory.sessions import MemorySessionRepository
from adapters.memory.webhooks import MemoryWebhookRepository, MemoryWebhookStore
from domain.errors import StorageUnavailable
from domain.executions.service import ExecutionService
from domain.functions.params import ParamsCheck
from domain.identity import ANONYMOUS, SessionRef
from domain.json_text import JsonText
from domain.live.hub import LiveHub
from domain.queue.dispatcher import Dispatcher, DispatchPolicy
from domain.queue.ends import Ends
from domain.queue.entry import Entry
from domain.queue.following import Ended, ExecutionEvents
from domain.queue.quota import QueueMaxima, QueueQuota
from domain.queue.served import ServedLanguages
from domain.queue.service import QueuePolicy, QueueService
from domain.queue.state import Accepted, ExecutionState
from domain.queue.submission import Submission
from domain.queue.watch import CancelWatch
from domain.scripts.language import Language
from tests.unit.services.conftest import World

ALLOWANCE = timedelta(seconds=70)


@define(eq=False)
class WatchedQueue(MemoryExecutionQueue):
    """Counts calls, and raises the failure that a test sets for the next call of a method, before or after it.

    A call of a method that has a gate waits for it. A late claim takes effect after the first `unclaim`. `sent` is called
    for each claim in a task of its own, as a statement is sent.
    """

    claims: int = 0
    counts: int = 0
    before: dict[str, Exception] = field(factory=dict)
    after: dict[str, Exception] = field(factory=dict)
    gates: dict[str, asyncio.Event] = field(factory=dict)
    waiting: set[str] = field(factory=set)
    put_backs: int = 0
    late: list[Any] = field(factory=list)
    is_late: bool = False
    sent: Callable[[], Awaitable[None]] | None = None

    async def accept(self, entry: Any, allowance: Any, retention: Any) -> Any:
        self._fail(self.before, "accept")
        await self._pass("accept")
        return await super().accept(entry, allowance, retention)

    async def put_back(self, claimed: Any, not_before: Any) -> None:
        self.put_backs += 1
        await super().put_back(claimed, not_before)

    async def claim(self, claim: Any) -> Any:
        self.claims += 1
        if self.sent is not None:
            await asyncio.ensure_future(self.sent())
        if self.is_late:
            self.is_late = False
            self.late.append(claim)
            raise StorageUnavailable(stored="unknown")
        self._fail(self.before, "claim")
        found = await super().claim(claim)
        self._fail(self.after, "claim")
        return found

    async def unclaim(self, claim_id: Any, not_before: Any) -> Any:
        self._fail(self.before, "unclaim")
        returned = await super().unclaim(claim_id, not_before)
        while self.late:
            await super().claim(self.late.pop())
        return returned

    async def end_entries(self, now: Any, ref: Any = None) -> Any:
        self._fail(self.before, "end_entries")
        return await super().end_entries(now, ref)

    async def to_stop(self, running: Any) -> Any:
        self._fail(self.before, "to_stop")
        return await super().to_stop(running)

    async def queued(self, owner: Any, counted_max: int) -> int:
        self.counts += 1
        counted = await super().queued(owner, counted_max)
        await self._pass("queued")
        self._fail(self.before, "counted")
        return counted

    async def _pass(self, name: str) -> None:
        if name in self.gates:
            self.waiting.add(name)
            await self.gates[name].wait()

    def _fail(self, failures: dict[str, Exception], name: str) -> None:
        if name in failures:
            raise failures.pop(name)


@define(eq=False)
class WatchedSessions(MemorySessionRepository):
    """Counts reads of sessions."""

    reads: int = 0

    async def get(self, ref: SessionRef) -> Any:
        self.reads += 1
        return await super().get(ref)


@define(eq=False)
class Later:
    """A process that accepts executions and runs them."""

    world: World
    policy: DispatchPolicy = field(
        factory=lambda: DispatchPolicy(2, 2, ALLOWANCE, busy_pause_s=0.001, idle_pause_s=0.002, busy_for_s=0.01)
    )
    bounds: QueueMaxima = field(factory=QueueMaxima)
    webhooks: MemoryWebhookStore = field(factory=MemoryWebhookStore)
    live: LiveHub[Ended] = field(factory=LiveHub)
    queue: WatchedQueue = field(init=False)
    sessions: WatchedSessions = field(init=False)
    events: ExecutionEvents = field(init=False)
    executions: ExecutionService = field(init=False)
    served: ServedLanguages = field(init=False)
    dispatcher: Dispatcher = field(init=False)
    service: QueueService = field(init=False)
    watch: CancelWatch = field(init=False)

    def __attrs_post_init__(self) -> None:
        world, container = self.world, self.world.container
        self.executions, running, ends = container.executions(), container.running(), Ends()
        self.sessions = WatchedSessions(world.store)
        self.queue = WatchedQueue(world.store, world.executions, world.ids)
        self.served = ServedLanguages(dict.fromkeys(Language, world.runner.health))
        self.dispatcher = Dispatcher(
            self.queue,
            self.executions,
            world.clock,
            world.ids,
            self.policy,
            self.served,
            world.tasks,
            ends,
            self.live,
            no_jitter,
        )
        quota = QueueQuota(self.queue, world.clock.monotonic_ns, self.bounds)
        self.service = QueueService(
            world.clock,
            world.ids,
            self.sessions,
            MemoryWebhookRepository(self.webhooks, MemoryAudit()),
            self.queue,
            self.served,
            ParamsCheck(world.functions, world.schemas),
            QueuePolicy(world.request_timeout_s, ALLOWANCE),
            quota,
            ends,
            running,
            world.tasks,
            no_jitter,
            self.dispatcher.wake,
            container.files_of_runs(),
        )
        self.events = ExecutionEvents(
            lambda owner, execution_id: self.service.wait(owner, execution_id, 0),
            world.output,
            self.live,
            ends,
            no_jitter,
        )
        self.watch = CancelWatch(self.queue, running, pause_s=0.001)

    @asynccontextmanager
    async def dispatching(self) -> AsyncIterator[None]:
        """Run the dispatcher meanwhile, and let it end."""
        loop = asyncio.create_task(self.dispatcher.run())
        try:
            yield
        finally:
            await self.dispatcher.drain(5)
            await loop
            await self.world.tasks.drain(5)

    async def accept(self, ref: SessionRef, params: str = '{"a": 1}', **more: Any) -> Accepted:
        return await self.service.accept(ref, Submission(JsonText(params), **more))

    async def add(self, ref: SessionRef, params: str = '{"a": 1}', **more: Any) -> Entry:
        accepted = await self.accept(ref, params, **more)
        assert isinstance(accepted, Entry)
        return accepted

    async def ended(self, entry: Entry) -> ExecutionState:
        return await self.service.wait(ANONYMOUS, entry.execution_id, 5)

    async def state(self, entry: Entry) -> ExecutionState:
        return await self.service.wait(ANONYMOUS, entry.execution_id, 0)
