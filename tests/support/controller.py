"""The controller's container with fakes in the place of adapters."""

from typing import Any

from attrs import define, field
from dependency_injector import providers
from prometheus_client import CollectorRegistry

from adapters.aes_gcm_sealer import AesGcmSealer
from adapters.memory.audit import MemoryAudit
from adapters.memory.egress_rules import MemoryOwnerRules
from adapters.memory.environments import (
    FixedPlatforms,
    MemoryBuildQueue,
    MemoryEnvironmentRepository,
    MemoryEnvironmentStore,
    MemoryTreeStore,
)
from adapters.memory.executions import MemoryExecutionRepository
from adapters.memory.files import MemoryFileRepository
from adapters.memory.functions import MemoryFunctionRepository
from adapters.memory.keyed_calls import MemoryKeyedExecutionRepository, MemoryKeyedSessionRepository
from adapters.memory.limits import MemoryRateStore, MemoryUsageReader
from adapters.memory.live_output import MemoryLiveOutput
from adapters.memory.manual_clock import ManualClock
from adapters.memory.queue import MemoryExecutionQueue
from adapters.memory.runtime_hosts import MemoryHostDirectory
from adapters.memory.schedules import MemoryScheduleRepository
from adapters.memory.script_runner import MemoryScriptRunner
from adapters.memory.secrets import MemorySecretRepository
from adapters.memory.sequential_ids import SequentialIds
from adapters.memory.sessions import MemoryHiddenSessionRepository, MemorySessionPurger, MemorySessionRepository
from adapters.memory.states import MemoryStateRepository
from adapters.memory.store import MemoryStore
from adapters.memory.usage import MemoryExecutionCounts
from adapters.memory.webhooks import MemoryDeliveryQueue, MemoryWebhookRepository, MemoryWebhookStore
from domain.concurrency.background_tasks import BackgroundTasks
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.environments.service import EnvironmentService
from domain.limits.ports import Unlimited
from domain.scripts.language import Language
from domain.secrets.ports import Sealer
from domain.webhooks.signature import SigningKey
from entrypoints.composition.controller import Controller
from entrypoints.composition.runners import Runners
from entrypoints.http.endpoints.health import HealthChecks
from entrypoints.settings.loading import load_settings

WEBHOOK_KEY = "key of the tests, of 32 bytes at least"

_CONTROLLER = Controller(settings=load_settings({"DATABASE_URL": "postgresql://nobody/nothing"}))
"""One for the process: a new one takes 2 ms, and to reset this one a tenth of that."""

_OVERRIDDEN: list[providers.Provider[Any]] = []


@define(eq=False)
class Fakes:
    """What stands in for the database, the clock, the ids and the runners of a controller."""

    store: MemoryStore = field(factory=MemoryStore)
    clock: ManualClock = field(factory=ManualClock)
    ids: SequentialIds = field(factory=SequentialIds)
    runner: MemoryScriptRunner = field(factory=MemoryScriptRunner)
    audit: MemoryAudit = field(factory=MemoryAudit)
    webhooks: MemoryWebhookStore = field(factory=MemoryWebhookStore)
    signing_key: SigningKey | None = field(factory=lambda: SigningKey(WEBHOOK_KEY.encode()))
    sealer: Sealer | None = field(factory=lambda: AesGcmSealer.of([bytes(32)]))
    secrets: MemorySecretRepository = field()
    functions: MemoryFunctionRepository = field()
    rates: MemoryRateStore = field(factory=MemoryRateStore)
    runtime_hosts: MemoryHostDirectory = field(factory=MemoryHostDirectory)
    egress_rules: MemoryOwnerRules = field(factory=MemoryOwnerRules)
    tasks: BackgroundTasks = field(factory=BackgroundTasks)
    execution_limiter: CapacityLimiter = field(factory=lambda: CapacityLimiter("an execution", 8))
    recording_limiter: CapacityLimiter = field(factory=lambda: CapacityLimiter("a recording", 8))
    environments: MemoryEnvironmentStore = field(factory=MemoryEnvironmentStore)
    schedules: MemoryScheduleRepository | None = None
    files: MemoryFileRepository = field(factory=MemoryFileRepository)
    output: MemoryLiveOutput = field(init=False)
    sessions: MemorySessionRepository = field(init=False)
    executions: MemoryExecutionRepository = field(init=False)
    counts: MemoryExecutionCounts = field(init=False)

    @secrets.default
    def _secrets(self) -> MemorySecretRepository:
        return MemorySecretRepository(audit=self.audit)

    @functions.default
    def _functions(self) -> MemoryFunctionRepository:
        return MemoryFunctionRepository(audit=self.audit)

    def __attrs_post_init__(self) -> None:
        self.store.functions = self.functions.functions
        self.store.on_counted = lambda finished: self.files.complete_outputs(finished, self.clock.now())
        self.store.on_erased = self.files.remove_outputs
        self.output = MemoryLiveOutput(self.store)
        self.sessions = MemorySessionRepository(self.store)
        self.executions = MemoryExecutionRepository(self.store, self.clock)
        self.counts = MemoryExecutionCounts(self.store, self.webhooks)

    @property
    def keyed_sessions(self) -> MemoryKeyedSessionRepository:
        return MemoryKeyedSessionRepository(self.store, self.sessions)

    @property
    def keyed_executions(self) -> MemoryKeyedExecutionRepository:
        return MemoryKeyedExecutionRepository(self.store, self.executions)

    @property
    def queue(self) -> MemoryExecutionQueue:
        return MemoryExecutionQueue(self.store, self.executions, self.ids, audit=self.audit)

    def controller(self, health: HealthChecks | None = None, **objects: Any) -> Controller:
        """Return the container over these fakes; `objects` take the place of further providers, by name.

        It is the same container each time. So take everything from it before it is asked for again.
        """
        database = {
            "clock": self.clock,
            "sessions": self.sessions,
            "hidden_sessions": MemoryHiddenSessionRepository(self.store),
            "executions": self.executions,
            "keyed_sessions": self.keyed_sessions,
            "keyed_executions": self.keyed_executions,
            "execution_queue": self.queue,
            "schedules": self.schedules or MemoryScheduleRepository(self.store, self.queue),
            "live_output": self.output,
            "states": MemoryStateRepository(self.store),
            "files": self.files,
            "environments": MemoryEnvironmentRepository(self.environments, self.audit),
            "environment_builds": MemoryBuildQueue(self.environments),
            "trees": MemoryTreeStore(self.environments),
            "runtime_hosts": self.runtime_hosts,
            "functions": self.functions,
            "audit": self.audit,
            "secrets": self.secrets,
            "egress_rules": self.egress_rules,
            "rates": self.rates,
            "usage": MemoryUsageReader(self.store, webhooks=self.webhooks),
            "execution_counts": self.counts,
            "purger": MemorySessionPurger(self.store, self.audit),
            "webhooks": MemoryWebhookRepository(self.webhooks, self.audit),
            "deliveries": MemoryDeliveryQueue(self.webhooks),
        }
        others = {
            "ids": self.ids,
            "tasks": self.tasks,
            "sealer": providers.Object(self.sealer),
            "signing_key": providers.Object(self.signing_key),
            "runners": Runners(None, None, dict.fromkeys(Language, self.runner)),
            "execution_limiter": self.execution_limiter,
            "recording_limiter": self.recording_limiter,
            "quotas": Unlimited(),
            "platforms": FixedPlatforms(),
            "environments": EnvironmentService(
                self.clock,
                self.ids,
                MemoryEnvironmentRepository(self.environments, self.audit),
                frozenset({Language.PYTHON}),
            ),
        }
        observation = {"metrics": CollectorRegistry()} | ({} if health is None else {"health": health})
        while _OVERRIDDEN:
            _OVERRIDDEN.pop().reset_override()
        _CONTROLLER.reset_singletons()
        containers = _CONTROLLER, _CONTROLLER.database, _CONTROLLER.observation
        for container, given in zip(containers, (others | objects, database, observation), strict=True):
            for name, each in given.items():
                _OVERRIDDEN.append(getattr(container, name))
                _OVERRIDDEN[-1].override(each)
        return _CONTROLLER
