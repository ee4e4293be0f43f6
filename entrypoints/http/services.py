"""What the HTTP API serves."""

from attrs import field, frozen
from prometheus_client import CollectorRegistry

from domain.audit import AuditService
from domain.environments.service import EnvironmentService
from domain.executions.by_name import FunctionCalls
from domain.executions.function_sessions import FunctionSessions
from domain.executions.history import HistoryService
from domain.executions.service import ExecutionService
from domain.files.service import FileService
from domain.functions.service import FunctionService
from domain.hosts.service import HostRegistry
from domain.live.hub import LiveHub
from domain.queue.following import Ended, ExecutionEvents
from domain.queue.service import QueueService
from domain.schedules.service import ScheduleService
from domain.secrets.service import SecretService
from domain.sessions.service import SessionService
from domain.states.service import StateService
from domain.usage import UsageService
from domain.webhooks.service import WebhookService
from entrypoints.http.endpoints.health import HealthChecks


@frozen
class Services:
    """The use cases that the application serves, its health checks, and the metrics of other parts of the process."""

    sessions: SessionService
    states: StateService
    environments: EnvironmentService
    files: FileService
    executions: ExecutionService
    function_sessions: FunctionSessions
    calls: FunctionCalls
    history: HistoryService
    queue: QueueService
    events: ExecutionEvents
    live: LiveHub[Ended]
    schedules: ScheduleService
    functions: FunctionService
    audit: AuditService
    usage: UsageService
    webhooks: WebhookService
    secrets: SecretService
    process: HealthChecks
    metrics: CollectorRegistry = field(factory=CollectorRegistry)
    runtime_hosts: HostRegistry | None = None
