"""The table of routes."""

from functools import partial

from attrs import frozen

from entrypoints.http.endpoints.asynchronous import AsynchronousEndpoints
from entrypoints.http.endpoints.audit import AuditEndpoint
from entrypoints.http.endpoints.batches import BatchEndpoints
from entrypoints.http.endpoints.documents import ASSETS, DocumentEndpoints
from entrypoints.http.endpoints.events import EventEndpoints
from entrypoints.http.endpoints.executions import ExecutionEndpoints
from entrypoints.http.endpoints.functions import FunctionEndpoints
from entrypoints.http.endpoints.health import HealthEndpoints, MetricsEndpoint
from entrypoints.http.endpoints.history import HistoryEndpoints
from entrypoints.http.endpoints.schedules import ScheduleEndpoints
from entrypoints.http.endpoints.sessions import SessionEndpoints
from entrypoints.http.endpoints.usage import UsageEndpoint
from entrypoints.http.endpoints.webhooks import WebhookEndpoints
from entrypoints.http.openapi import schedules as schedule_contracts
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
from entrypoints.http.openapi.webhooks import (
    CREATE_WEBHOOK,
    DELETE_WEBHOOK,
    GET_DELIVERY,
    GET_WEBHOOK,
    LIST_DELIVERIES,
    LIST_WEBHOOKS,
    PATCH_WEBHOOK,
    REDELIVER,
    ROTATE_WEBHOOK,
    TEST_WEBHOOK,
)
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
from entrypoints.http.schemas.schedules import (
    FiringList,
    ScheduleBody,
    SchedulePage,
    SchedulePatch,
    ScheduleResponse,
)
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
from entrypoints.http.schemas.webhooks import (
    DeliveryPage,
    DeliveryResponse,
    WebhookBody,
    WebhookPage,
    WebhookPatchBody,
    WebhookResponse,
    WebhookWithSecret,
)

_SESSIONS = "/api/v1/sessions"
_SESSION = "/api/v1/sessions/{request_id}"
_EXECUTIONS = "/api/v1/executions"
_EXECUTION = "/api/v1/executions/{execution_id}"
_QUEUE = "/api/v1/queue"
_FUNCTIONS = "/api/v1/functions"
_SCHEDULES = "/api/v1/schedules"
_SCHEDULE = "/api/v1/schedules/{schedule_id}"
_AUDIT = "/api/v1/audit"
_USAGE = "/api/v1/usage"
_FUNCTION = "/api/v1/functions/{language_title}"

_own = partial(Route, access=Access.OWNER, route_class=RouteClass.SESSIONS)
_initialize = partial(Route, access=Access.EXECUTE, route_class=RouteClass.SESSIONS)
_execute = partial(Route, access=Access.EXECUTE, route_class=RouteClass.EXECUTE)
_read_functions = partial(Route, access=Access.READ_FUNCTIONS, route_class=RouteClass.FUNCTIONS)
_own_functions = partial(Route, access=Access.OWNER, route_class=RouteClass.FUNCTIONS)
_write_functions = partial(Route, access=Access.WRITE_FUNCTIONS, route_class=RouteClass.FUNCTIONS)
_webhooks = partial(Route, access=Access.WEBHOOKS, route_class=RouteClass.SESSIONS)
_schedule = partial(Route, access=Access.WRITE_SCHEDULES, route_class=RouteClass.SESSIONS)
_process = partial(Route, route_class=None, exempt=True)
# Exempt, because callers without a credential must not use up capacity that others need.
_page = partial(Route, access=Access.OPEN, route_class=None, exempt=True, shown=False)


@frozen
class Endpoints:
    """The endpoints of all routes."""

    sessions: SessionEndpoints
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


def routes(endpoints: Endpoints) -> tuple[Route, ...]:
    """Return all routes."""
    return (
        *_session_routes(endpoints.sessions, endpoints.executions, endpoints.history, endpoints.batches),
        *_execution_routes(endpoints.asynchronous, endpoints.events),
        *_function_routes(endpoints.functions, endpoints.executions, endpoints.history),
        *_schedule_routes(endpoints.schedules),
        _own("GET", _AUDIT, endpoints.audit.list, "list_acts", AUDIT, None, AuditPage, access=Access.ADMIN),
        _own("GET", _USAGE, endpoints.usage.list, "list_usage", USAGE, None, UsageList),
        *_webhook_routes(endpoints.webhooks),
        *_process_routes(endpoints.health, endpoints.metrics),
        *_document_routes(endpoints.documents),
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


def _webhook_routes(webhooks: WebhookEndpoints) -> tuple[Route, ...]:
    every, one = "/api/v1/webhooks", "/api/v1/webhooks/{webhook_id}"
    delivery = "/api/v1/deliveries/{delivery_id}"
    rotate, test, deliveries, redeliver = f"{one}/rotate", f"{one}/test", f"{one}/deliveries", f"{delivery}/redeliver"
    create, patch, many = webhooks.create, webhooks.patch, webhooks.deliveries
    secret, shown, message = WebhookWithSecret, WebhookResponse, DeliveryResponse
    return (
        _webhooks("POST", every, create, "create_webhook", CREATE_WEBHOOK, WebhookBody, secret, status=201),
        _webhooks("GET", every, webhooks.list, "list_webhooks", LIST_WEBHOOKS, None, WebhookPage),
        _webhooks("GET", one, webhooks.get, "get_webhook", GET_WEBHOOK, None, shown),
        _webhooks("PATCH", one, patch, "patch_webhook", PATCH_WEBHOOK, WebhookPatchBody, shown),
        _webhooks("DELETE", one, webhooks.delete, "delete_webhook", DELETE_WEBHOOK, status=204),
        _webhooks("POST", rotate, webhooks.rotate, "rotate_webhook", ROTATE_WEBHOOK, None, secret),
        _webhooks("POST", test, webhooks.test, "test_webhook", TEST_WEBHOOK, None, message, status=202),
        _webhooks("GET", deliveries, many, "list_deliveries", LIST_DELIVERIES, None, DeliveryPage),
        _webhooks("GET", delivery, webhooks.delivery, "get_delivery", GET_DELIVERY, None, message),
        _webhooks("POST", redeliver, webhooks.redeliver, "redeliver_message", REDELIVER, None, message, status=202),
    )


def _schedule_routes(schedules: ScheduleEndpoints) -> tuple[Route, ...]:
    create, get, patch = schedules.create, schedules.get, schedules.patch
    pause, resume, run, firings = (f"{_SCHEDULE}/{each}" for each in ("pause", "resume", "run", "firings"))
    return (
        _schedule(
            "POST",
            _SCHEDULES,
            create,
            "create_schedule",
            schedule_contracts.CREATE,
            ScheduleBody,
            ScheduleResponse,
            201,
        ),
        _own("GET", _SCHEDULES, schedules.list, "list_schedules", schedule_contracts.LIST, None, SchedulePage),
        _own("GET", _SCHEDULE, get, "get_schedule", schedule_contracts.GET, None, ScheduleResponse),
        _schedule(
            "PATCH", _SCHEDULE, patch, "patch_schedule", schedule_contracts.PATCH, SchedulePatch, ScheduleResponse
        ),
        _schedule("DELETE", _SCHEDULE, schedules.delete, "delete_schedule", schedule_contracts.DELETE, status=204),
        _schedule("POST", pause, schedules.pause, "pause_schedule", schedule_contracts.PAUSE, None, ScheduleResponse),
        _schedule(
            "POST", resume, schedules.resume, "resume_schedule", schedule_contracts.RESUME, None, ScheduleResponse
        ),
        _schedule(
            "POST", run, schedules.run, "run_schedule", schedule_contracts.RUN, None, AcceptedResponse, status=202
        ),
        _own("GET", firings, schedules.firings, "list_firings", schedule_contracts.FIRINGS, None, FiringList),
    )


def _process_routes(health: HealthEndpoints, metrics: MetricsEndpoint) -> tuple[Route, ...]:
    return (
        _process("GET", "/livez", health.livez, "get_liveness", LIVEZ, None, Liveness, access=Access.OPEN),
        _process("GET", "/readyz", health.readyz, "get_readiness", READYZ, None, Readiness, access=Access.DETAIL),
        _process("GET", "/health", health.health, "get_health", HEALTH, None, HealthResponse, access=Access.DETAIL),
        _process("GET", "/metrics", metrics.metrics, "get_metrics", access=Access.ADMIN, shown=False),
    )


def _document_routes(documents: DocumentEndpoints) -> tuple[Route, ...]:
    return (
        _page("GET", "/openapi.json", documents.document, "openapi"),
        _page("GET", "/docs", documents.page, "docs"),
        *(_page("GET", f"/docs/{asset.name}", documents.asset(asset), asset.file) for asset in ASSETS),
    )
