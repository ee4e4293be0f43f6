"""The services over fakes."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from attrs import define, field

from adapters.json_schema.compiler import JsonSchemaCompiler
from adapters.memory.executions import MemoryExecutionRepository
from domain.executions.call import ExecutionPolicy
from domain.executions.execution import FinishedExecution
from domain.executions.history import HistoryService
from domain.executions.service import ExecutionService
from domain.functions.examples import ExamplePolicy
from domain.functions.quota import FunctionQuota
from domain.functions.service import FunctionPolicy, FunctionService
from domain.grants.ceilings import EgressCeilings
from domain.identity import ANONYMOUS, Owner, SessionRef
from domain.scripts.language import Language, LanguageMapping
from domain.scripts.limits import Isolation, Limits, LimitsPolicy
from domain.sessions.requests import SessionPolicy, SessionRequest
from domain.sessions.service import SessionService
from domain.sessions.session import LifetimePolicy
from entrypoints.composition.controller import Controller
from tests.support.controller import Fakes


@define
class ObservedExecutions(MemoryExecutionRepository):
    """Records the calls, and lets a test fail or hold single steps."""

    called: list[str] = field(factory=list)
    failures: dict[str, Exception] = field(factory=dict)
    before_finish: Callable[[], Awaitable[None]] | None = None

    def _note(self, name: str) -> None:
        self.called.append(name)
        if name in self.failures:
            raise self.failures.pop(name)

    async def begin(self, execution_id, ref, allowance):
        self._note("begin")
        return await super().begin(execution_id, ref, allowance)

    async def withdraw(self, execution_id, ref):
        self._note("withdraw")
        await super().withdraw(execution_id, ref)

    async def finish(self, finished: FinishedExecution) -> int:
        self._note("finish")
        if self.before_finish is not None:
            await self.before_finish()
        return await super().finish(finished)


@define(eq=False)
class World(Fakes):
    """The services over fakes; each access makes a service with the present fields."""

    schemas: JsonSchemaCompiler = field(factory=JsonSchemaCompiler)
    request_timeout_s: float = 5.0
    run_overhead_s: float = 5.0
    examples_s: float = 5.0
    example_timeout_ms: int = 1000
    quota: FunctionQuota | None = None
    state_wait_s: float = 5.0
    egress: EgressCeilings = field(factory=EgressCeilings)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.executions = ObservedExecutions(self.store, self.clock)

    @property
    def container(self) -> Controller:
        limits = Limits(self.example_timeout_ms, 128, Isolation.SESSION)
        return self.controller(
            schemas=self.schemas,
            mapping=LanguageMapping({"py-": Language.PYTHON}),
            request_timeout_s=self.request_timeout_s,
            session_policy=SessionPolicy(
                lifetime=LifetimePolicy(ttl_seconds=100, lifetime_seconds_max=1000),
                limits=LimitsPolicy(Limits(1000, 128, Isolation.SESSION), 60_000, 512),
                script_size_max=1000,
                request_timeout_s=self.request_timeout_s,
            ),
            execution_policy=ExecutionPolicy(self.request_timeout_s, self.run_overhead_s, finish_retry_s=0),
            state_wait_s=self.state_wait_s,
            egress=self.egress,
            example_policy=ExamplePolicy(limits, self.examples_s, self.run_overhead_s),
            function_policy=FunctionPolicy(script_size_max=1000, request_timeout_s=self.request_timeout_s),
            **({} if self.quota is None else {"function_quota": self.quota}),
        )

    @property
    def session_service(self) -> SessionService:
        return self.container.sessions()

    @property
    def history_service(self) -> HistoryService:
        return self.container.history()

    @property
    def execution_service(self) -> ExecutionService:
        return self.container.executions()

    @property
    def function_service(self) -> FunctionService:
        return self.container.functions()

    async def session(self, source: str = "result = params['a'] + 1", **fields) -> SessionRef:
        return await self.session_of(ANONYMOUS, source, **fields)

    async def session_of(self, owner: Owner, source: str = "result = params['a'] + 1", **fields) -> SessionRef:
        request = SessionRequest("python-x", source, **fields)
        initialized = await self.session_service.initialize(owner, request)
        return initialized.ref

    def let_expire(self) -> None:
        self.clock.advance(timedelta(seconds=100))


@pytest.fixture
def world() -> World:
    return World()
