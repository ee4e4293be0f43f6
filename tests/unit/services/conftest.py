"""The services over fakes."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from attrs import define, field

from adapters.json_schema.compiler import JsonSchemaCompiler
from adapters.memory.executions import MemoryExecutionRepository
from adapters.memory.functions import MemoryFunctionRepository
from adapters.memory.keyed_calls import MemoryKeyedCallRepository
from adapters.memory.manual_clock import ManualClock
from adapters.memory.script_runner import MemoryScriptRunner
from adapters.memory.sequential_ids import SequentialIds
from adapters.memory.sessions import MemorySessionRepository
from adapters.memory.store import MemoryStore
from domain.concurrency.background_tasks import BackgroundTasks
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.executions.history import HistoryService
from domain.executions.params_check import ParamsCheck
from domain.executions.ports import FinishedExecution
from domain.executions.service import ExecutionPolicy, ExecutionService
from domain.functions.examples import ExamplePolicy, ExampleRuns
from domain.functions.service import FunctionPolicy, FunctionService
from domain.identity import ANONYMOUS, SessionRef
from domain.scripts.language import Language, LanguageMapping
from domain.scripts.limits import Isolation, Limits, LimitsPolicy
from domain.sessions.service import SessionPolicy, SessionRequest, SessionService
from domain.sessions.session import LifetimePolicy


@define
class ObservedExecutions(MemoryExecutionRepository):
    """Lets a test fail or hold single steps, and tells it what was called."""

    called: list[str] = field(factory=list)
    failures: dict[str, Exception] = field(factory=dict)
    before_finish: Callable[[], Awaitable[None]] | None = None

    def _note(self, name: str) -> None:
        self.called.append(name)
        if name in self.failures:
            raise self.failures.pop(name)

    async def begin(self, request):
        self._note("begin")
        return await super().begin(request)

    async def withdraw(self, execution_id, key):
        self._note("withdraw")
        await super().withdraw(execution_id, key)

    async def finish(self, finished: FinishedExecution) -> int:
        self._note("finish")
        if self.before_finish is not None:
            await self.before_finish()
        return await super().finish(finished)


@define
class World:
    """Both services and everything that stands behind them."""

    store: MemoryStore = field(factory=MemoryStore)
    clock: ManualClock = field(factory=ManualClock)
    ids: SequentialIds = field(factory=SequentialIds)
    runner: MemoryScriptRunner = field(factory=MemoryScriptRunner)
    functions: MemoryFunctionRepository = field(factory=MemoryFunctionRepository)
    schemas: JsonSchemaCompiler = field(factory=JsonSchemaCompiler)
    tasks: BackgroundTasks = field(factory=BackgroundTasks)
    inside: CapacityLimiter = field(factory=lambda: CapacityLimiter("an execution", 8))
    unrecorded: CapacityLimiter = field(factory=lambda: CapacityLimiter("a recording", 8))
    request_timeout_s: float = 5.0
    run_overhead_s: float = 5.0
    examples_s: float = 5.0
    example_timeout_ms: int = 1000
    executions: ObservedExecutions = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.executions = ObservedExecutions(self.store, self.clock)

    @property
    def keyed(self) -> MemoryKeyedCallRepository:
        return MemoryKeyedCallRepository(self.store, MemorySessionRepository(self.store), self.executions)

    @property
    def session_service(self) -> SessionService:
        return SessionService(
            clock=self.clock,
            ids=self.ids,
            sessions=MemorySessionRepository(self.store),
            keyed=self.keyed,
            runners=dict.fromkeys(Language, self.runner),
            mapping=LanguageMapping(),
            policy=SessionPolicy(
                lifetime=LifetimePolicy(ttl_seconds=100, lifetime_seconds_max=1000),
                limits=LimitsPolicy(Limits(1000, 128, Isolation.SESSION), 60_000, 512),
                script_size_max=1000,
                request_timeout_s=self.request_timeout_s,
            ),
            tasks=self.tasks,
            functions=self.functions,
        )

    @property
    def history_service(self) -> HistoryService:
        return HistoryService(MemorySessionRepository(self.store), self.executions, self.request_timeout_s)

    @property
    def execution_service(self) -> ExecutionService:
        return ExecutionService(
            clock=self.clock,
            ids=self.ids,
            sessions=MemorySessionRepository(self.store),
            executions=self.executions,
            keyed=self.keyed,
            runners=dict.fromkeys(Language, self.runner),
            policy=ExecutionPolicy(self.request_timeout_s, self.run_overhead_s, finish_retry_s=0),
            inside=self.inside,
            unrecorded=self.unrecorded,
            tasks=self.tasks,
            params=ParamsCheck(self.functions, self.schemas),
        )

    @property
    def function_service(self) -> FunctionService:
        runners = dict.fromkeys(Language, self.runner)
        limits = Limits(self.example_timeout_ms, 128, Isolation.SESSION)
        policy = ExamplePolicy(limits, self.examples_s, self.run_overhead_s)
        return FunctionService(
            clock=self.clock,
            functions=self.functions,
            schemas=self.schemas,
            runners=runners,
            examples=ExampleRuns(self.clock, self.ids, self.schemas, runners, policy, self.tasks),
            mapping=LanguageMapping({"py-": Language.PYTHON}),
            policy=FunctionPolicy(script_size_max=1000, request_timeout_s=self.request_timeout_s),
        )

    async def session(self, source: str = "result = params['a'] + 1", **fields) -> SessionRef:
        request = SessionRequest("python-x", source, **fields)
        initialized = await self.session_service.initialize(ANONYMOUS, request)
        return initialized.ref

    def let_expire(self) -> None:
        self.clock.advance(timedelta(seconds=100))


@pytest.fixture
def world() -> World:
    return World()
