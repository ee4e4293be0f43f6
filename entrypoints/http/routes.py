"""The table of routes."""

from functools import partial

from attrs import frozen

from entrypoints.http.automation_routes import schedule_routes, webhook_routes
from entrypoints.http.endpoints.asynchronous import AsynchronousEndpoints
from entrypoints.http.endpoints.audit import AuditEndpoint
from entrypoints.http.endpoints.batches import BatchEndpoints
from entrypoints.http.endpoints.documents import ASSETS, DocumentEndpoints
from entrypoints.http.endpoints.environments import EnvironmentEndpoints
from entrypoints.http.endpoints.events import EventEndpoints
from entrypoints.http.endpoints.executions import ExecutionEndpoints
from entrypoints.http.endpoints.files import FileEndpoints
from entrypoints.http.endpoints.functions import FunctionEndpoints
from entrypoints.http.endpoints.health import HealthEndpoints, MetricsEndpoint
from entrypoints.http.endpoints.history import HistoryEndpoints
from entrypoints.http.endpoints.runtime_hosts import RuntimeHostEndpoint
from entrypoints.http.endpoints.schedules import ScheduleEndpoints
from entrypoints.http.endpoints.secrets import SecretEndpoints
from entrypoints.http.endpoints.sessions import SessionEndpoints
from entrypoints.http.endpoints.states import StateEndpoints
from entrypoints.http.endpoints.usage import UsageEndpoint
from entrypoints.http.endpoints.webhooks import WebhookEndpoints
from entrypoints.http.environment_routes import environment_routes
from entrypoints.http.file_routes import file_routes
from entrypoints.http.openapi.asynchronous import CANCEL, ERASE, EVENTS, EXECUTION, EXECUTIONS, QUEUE, RETRY
from entrypoints.http.openapi.executions import (
    EXECUTE,
    EXECUTE_BATCH,
    EXECUTE_FUNCTION,
    FUNCTION_HISTORY,
    HISTORY,
)
from entrypoints.http.openapi.functions import (
    CHECK_FUNCTION,
    DELETE_FUNCTION,
    GET_FUNCTION,
    LIST_FUNCTIONS,
    PUT_FUNCTION,
    ROLL_BACK_FUNCTION,
    VERSIONS,
)
from entrypoints.http.openapi.health import AUDIT, HEALTH, LIVEZ, READYZ, USAGE
from entrypoints.http.openapi.sessions import DELETE, GET, INITIALIZE, INITIALIZE_BATCH, LIST, PATCH
from entrypoints.http.route import Access, Route, RouteClass
from entrypoints.http.schemas.asynchronous import AcceptedResponse, CancelResponse, ListedExecutions, QueueResponse
from entrypoints.http.schemas.audit import AuditPage
from entrypoints.http.schemas.executions import (
    BatchBody,
    BatchLine,
    ExecuteBody,
    ExecuteResponse,
    ExecutionPage,
    SingleExecution,
)
from entrypoints.http.schemas.function_checks import FunctionCheck
from entrypoints.http.schemas.functions import (
    FunctionBody,
    FunctionList,
    FunctionResponse,
    RollbackBody,
    VersionList,
)
from entrypoints.http.schemas.health import HealthResponse, Liveness, Readiness
from entrypoints.http.schemas.live_events import EventLine
from entrypoints.http.schemas.sessions import (
    InitializeBatchBody,
    InitializeBody,
    InitializeLine,
    InitializeResponse,
    PatchBody,
    SessionPage,
    SessionResponse,
)
from entrypoints.http.schemas.usage import UsageList
from entrypoints.http.secret_routes import secret_routes
from entrypoints.http.state_routes import state_routes

_SESSIONS = "/api/v1/sessions"
_SESSION = "/api/v1/sessions/{request_id}"
_EXECUTIONS = "/api/v1/executions"
_EXECUTION = "/api/v1/executions/{execution_id}"
_QUEUE = "/api/v1/queue"
_FUNCTIONS = "/api/v1/functions"
_AUDIT = "/api/v1/audit"
_USAGE = "/api/v1/usage"
_FUNCTION = "/api/v1/functions/{language_title}"

_own = partial(Route, access=Access.OWNER, route_class=RouteClass.SESSIONS)
_initialize = partial(Route, access=Access.EXECUTE, route_class=RouteClass.SESSIONS)
_execute = partial(Route, access=Access.EXECUTE, route_class=RouteClass.EXECUTE)
_read_functions = partial(Route, access=Access.READ_FUNCTIONS, route_class=RouteClass.FUNCTIONS)
_own_functions = partial(Route, access=Access.OWNER, route_class=RouteClass.FUNCTIONS)
_write_functions = partial(Route, access=Access.WRITE_FUNCTIONS, route_class=RouteClass.FUNCTIONS)
_process = partial(Route, route_class=None, exempt=True)
# Exempt, because callers without a credential must not use up capacity that others need.
_page = partial(Route, access=Access.OPEN, route_class=None, exempt=True, shown=False)


@frozen
class Endpoints:
    """The endpoints of all routes."""

    sessions: SessionEndpoints
    states: StateEndpoints
    files: FileEndpoints
    secrets: SecretEndpoints
    environments: EnvironmentEndpoints
    executions: ExecutionEndpoints
    history: HistoryEndpoints
    asynchronous: AsynchronousEndpoints
    events: EventEndpoints
    batches: BatchEndpoints
    functions: FunctionEndpoints
    schedules: ScheduleEndpoints
    audit: AuditEndpoint
    usage: UsageEndpoint
    webhooks: WebhookEndpoints
    health: HealthEndpoints
    documents: DocumentEndpoints
    metrics: MetricsEndpoint
    runtime_hosts: RuntimeHostEndpoint | None = None


def routes(endpoints: Endpoints) -> tuple[Route, ...]:
    """Return all routes."""
    return (
        *_session_routes(endpoints.sessions, endpoints.executions, endpoints.history, endpoints.batches),
        *state_routes(endpoints.states),
        *file_routes(endpoints.files),
        *secret_routes(endpoints.secrets),
        *environment_routes(endpoints.environments),
        *_execution_routes(endpoints.asynchronous, endpoints.events),
        *_function_routes(endpoints.functions, endpoints.executions, endpoints.history),
        *schedule_routes(endpoints.schedules),
        _own("GET", _AUDIT, endpoints.audit.list, "list_acts", AUDIT, None, AuditPage, access=Access.ADMIN),
        _own("GET", _USAGE, endpoints.usage.list, "list_usage", USAGE, None, UsageList),
        *webhook_routes(endpoints.webhooks),
        *_process_routes(endpoints.health, endpoints.metrics),
        *_document_routes(endpoints.documents),
        *(() if endpoints.runtime_hosts is None else _runtime_host_routes(endpoints.runtime_hosts)),
    )


# Columns: method, path, endpoint, name, contract, type of the body, type of the response.


def _session_routes(
    sessions: SessionEndpoints, executions: ExecutionEndpoints, history: HistoryEndpoints, batches: BatchEndpoints
) -> tuple[Route, ...]:
    execute, initialize = "/api/v1/execute/{request_id}", "/api/v1/initialize"
    return (
        _initialize(
            "POST",
            initialize,
            sessions.initialize,
            "initialize_session",
            INITIALIZE,
            InitializeBody,
            InitializeResponse,
        ),
        _initialize(
            "POST",
            f"{initialize}/batch",
            batches.initialize,
            "initialize_batch",
            INITIALIZE_BATCH,
            InitializeBatchBody,
            InitializeLine,
            checks_languages=True,
        ),
        _execute("POST", execute, executions.execute, "execute_session", EXECUTE, ExecuteBody, ExecuteResponse),
        _execute("POST", f"{execute}/batch", batches.execute, "execute_batch", EXECUTE_BATCH, BatchBody, BatchLine),
        _own("GET", _SESSIONS, sessions.list, "list_sessions", LIST, None, SessionPage),
        _own("GET", _SESSION, sessions.get, "get_session", GET, None, SessionResponse),
        _own("PATCH", _SESSION, sessions.patch, "patch_session", PATCH, PatchBody, SessionResponse),
        _own("DELETE", _SESSION, sessions.delete, "close_session", DELETE, status=204),
        _own("GET", f"{_SESSION}/executions", history.list, "list_executions", HISTORY, None, ExecutionPage),
    )


def _execution_routes(asynchronous: AsynchronousEndpoints, events: EventEndpoints) -> tuple[Route, ...]:
    cancel, retry = f"{_EXECUTION}/cancel", f"{_EXECUTION}/retry"
    return (
        _own("GET", _EXECUTIONS, asynchronous.list, "list_asynchronous_executions", EXECUTIONS, None, ListedExecutions),
        _own("GET", _QUEUE, asynchronous.queue, "get_queue", QUEUE, None, QueueResponse),
        _own("GET", _EXECUTION, asynchronous.get, "get_execution", EXECUTION, None, SingleExecution),
        _own("DELETE", _EXECUTION, asynchronous.erase, "erase_execution", ERASE, status=204),
        _own("GET", f"{_EXECUTION}/events", events.get, "follow_execution", EVENTS, None, EventLine),
        _own("POST", cancel, asynchronous.cancel, "cancel_execution", CANCEL, None, CancelResponse),
        _execute(
            "POST",
            retry,
            asynchronous.retry,
            "retry_execution",
            RETRY,
            None,
            AcceptedResponse,
            status=202,
            checks_languages=True,
        ),
    )


def _function_routes(
    functions: FunctionEndpoints, executions: ExecutionEndpoints, history: HistoryEndpoints
) -> tuple[Route, ...]:
    check, back, versions = f"{_FUNCTION}/check", f"{_FUNCTION}/rollback", f"{_FUNCTION}/versions"
    return (
        _read_functions("GET", _FUNCTIONS, functions.list, "list_functions", LIST_FUNCTIONS, None, FunctionList),
        _read_functions("GET", _FUNCTION, functions.get, "get_function", GET_FUNCTION, None, FunctionResponse),
        _read_functions("GET", versions, functions.versions, "list_function_versions", VERSIONS, None, VersionList),
        _write_functions("PUT", _FUNCTION, functions.put, "put_function", PUT_FUNCTION, FunctionBody, FunctionResponse),
        _write_functions("DELETE", _FUNCTION, functions.delete, "delete_function", DELETE_FUNCTION, status=204),
        _write_functions("POST", check, functions.check, "check_function", CHECK_FUNCTION, None, FunctionCheck),
        _execute(
            "POST",
            f"{_FUNCTION}/execute",
            executions.execute_by_name,
            "execute_function",
            EXECUTE_FUNCTION,
            ExecuteBody,
            ExecuteResponse,
        ),
        _own_functions(
            "GET",
            f"{_FUNCTION}/executions",
            history.list_by_name,
            "list_function_executions",
            FUNCTION_HISTORY,
            None,
            ExecutionPage,
        ),
        _write_functions(
            "POST", back, functions.roll_back, "roll_back_function", ROLL_BACK_FUNCTION, RollbackBody, FunctionResponse
        ),
    )


def _process_routes(health: HealthEndpoints, metrics: MetricsEndpoint) -> tuple[Route, ...]:
    return (
        _process("GET", "/livez", health.livez, "get_liveness", LIVEZ, None, Liveness, access=Access.OPEN),
        _process("GET", "/readyz", health.readyz, "get_readiness", READYZ, None, Readiness, access=Access.DETAIL),
        _process("GET", "/health", health.health, "get_health", HEALTH, None, HealthResponse, access=Access.DETAIL),
        _process("GET", "/metrics", metrics.metrics, "get_metrics", access=Access.ADMIN, shown=False),
    )


def _runtime_host_routes(hosts: RuntimeHostEndpoint) -> tuple[Route, ...]:
    """Return the route of hosts that register themselves. It is a part of their protocol, and no call of an owner."""
    path, access = "/runtime-hosts/{host_name}", Access.RUNTIME_HOST
    return (_process("PUT", path, hosts.put, "register_runtime_host", status=204, access=access, shown=False),)


def _document_routes(documents: DocumentEndpoints) -> tuple[Route, ...]:
    return (
        _page("GET", "/openapi.json", documents.document, "openapi"),
        _page("GET", "/docs", documents.page, "docs"),
        *(_page("GET", f"/docs/{asset.name}", documents.asset(asset), asset.file) for asset in ASSETS),
    )
