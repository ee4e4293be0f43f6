"""The route table."""

from attrs import frozen

from entrypoints.http.contracts import batches as of_batches
from entrypoints.http.contracts import executions as of_executions
from entrypoints.http.contracts import functions as of_functions
from entrypoints.http.contracts import health as of_operations
from entrypoints.http.contracts import sessions as of_sessions
from entrypoints.http.docs_ui.page import ASSETS
from entrypoints.http.endpoints.batches import BatchEndpoints
from entrypoints.http.endpoints.documents import DocumentEndpoints
from entrypoints.http.endpoints.executions import ExecutionEndpoints
from entrypoints.http.endpoints.functions import FunctionEndpoints
from entrypoints.http.endpoints.health import HealthEndpoints
from entrypoints.http.endpoints.metrics import MetricsEndpoint
from entrypoints.http.endpoints.sessions import SessionEndpoints
from entrypoints.http.payloads.batches import BatchBody, BatchLine
from entrypoints.http.payloads.executions import ExecuteBody, ExecuteResponse, ExecutionPage, SingleExecution
from entrypoints.http.payloads.function_checks import FunctionCheck
from entrypoints.http.payloads.functions import FunctionBody, FunctionList, FunctionResponse
from entrypoints.http.payloads.health import HealthResponse, Liveness, Readiness
from entrypoints.http.payloads.sessions import (
    InitializeBody,
    InitializeResponse,
    PatchBody,
    SessionPage,
    SessionResponse,
)
from entrypoints.http.route import Access, Endpoint, Route, RouteClass


@frozen
class Endpoints:
    """What answers the operations."""

    sessions: SessionEndpoints
    executions: ExecutionEndpoints
    batches: BatchEndpoints
    functions: FunctionEndpoints
    process: HealthEndpoints
    documents: DocumentEndpoints
    metrics: MetricsEndpoint


def operations(endpoints: Endpoints) -> tuple[Route, ...]:
    """Return everything that can be asked for."""
    sessions, executions, process = endpoints.sessions, endpoints.executions, endpoints.process
    session = "/api/v1/sessions/{request_id}"
    return (
        Route(
            "POST",
            "/api/v1/initialize",
            sessions.initialize,
            "initialize",
            "Initialize a session",
            access=Access.EXECUTE,
            takes=InitializeBody,
            gives=InitializeResponse,
            contract=of_sessions.INITIALIZE,
        ),
        Route(
            "POST",
            "/api/v1/execute/{request_id}",
            executions.execute,
            "execute",
            "Execute a session's script",
            access=Access.EXECUTE,
            route_class=RouteClass.EXECUTE,
            takes=ExecuteBody,
            gives=ExecuteResponse,
            contract=of_executions.EXECUTE,
        ),
        Route(
            "POST",
            "/api/v1/execute/{request_id}/batch",
            endpoints.batches.execute,
            "execute_batch",
            "Execute a session's script many times",
            access=Access.EXECUTE,
            route_class=RouteClass.EXECUTE,
            takes=BatchBody,
            gives=BatchLine,
            contract=of_batches.EXECUTE_BATCH,
        ),
        Route(
            "GET",
            "/api/v1/sessions",
            sessions.list,
            "list",
            "List sessions",
            gives=SessionPage,
            contract=of_sessions.LIST,
        ),
        Route(
            "GET",
            session,
            sessions.get,
            "get",
            "Read a session",
            gives=SessionResponse,
            contract=of_sessions.GET,
        ),
        Route(
            "PATCH",
            session,
            sessions.patch,
            "patch",
            "Change a session",
            takes=PatchBody,
            gives=SessionResponse,
            contract=of_sessions.PATCH,
        ),
        Route(
            "DELETE",
            session,
            sessions.delete,
            "delete",
            "Close a session",
            status=204,
            contract=of_sessions.DELETE,
        ),
        Route(
            "GET",
            session + "/executions",
            executions.list,
            "history",
            "List a session's executions",
            gives=ExecutionPage,
            contract=of_executions.HISTORY,
        ),
        Route(
            "GET",
            "/api/v1/executions/{execution_id}",
            executions.get,
            "execution",
            "Read an execution",
            gives=SingleExecution,
            contract=of_executions.EXECUTION,
        ),
        *_of_functions(endpoints.functions),
        Route(
            "GET",
            "/livez",
            process.livez,
            "livez",
            "Tell that the process runs",
            gives=Liveness,
            contract=of_operations.LIVEZ,
            exempt=True,
            access=Access.OPEN,
            route_class=None,
        ),
        Route(
            "GET",
            "/readyz",
            process.readyz,
            "readyz",
            "Tell whether to send work here",
            gives=Readiness,
            contract=of_operations.READYZ,
            exempt=True,
            access=Access.DETAIL,
            route_class=None,
        ),
        Route(
            "GET",
            "/health",
            process.health,
            "health",
            "Describe all parts",
            gives=HealthResponse,
            contract=of_operations.HEALTH,
            exempt=True,
            access=Access.DETAIL,
            route_class=None,
        ),
        Route(
            "GET",
            "/metrics",
            endpoints.metrics.metrics,
            "metrics",
            "Tell figures to Prometheus",
            exempt=True,
            access=Access.ADMIN,
            route_class=None,
            shown=False,
        ),
        *_documents(endpoints.documents),
    )


def _documents(documents: DocumentEndpoints) -> tuple[Route, ...]:
    """Return what is no part of the API: the document that describes it, and the page that shows the document."""

    def shown_by_page(path: str, endpoint: Endpoint, name: str, summary: str) -> Route:
        # Exempt, because those who are not known and leave answers unread would hold places that others need.
        return Route(
            "GET", path, endpoint, name, summary, exempt=True, access=Access.OPEN, route_class=None, shown=False
        )

    return (
        shown_by_page("/openapi.json", documents.document, "openapi", "Describe the API"),
        shown_by_page("/docs", documents.page, "docs", "Show the description"),
        *(
            shown_by_page(f"/docs/{asset.name}", documents.asset(asset), asset.file, "A file of the page")
            for asset in ASSETS
        ),
    )


def _of_functions(functions: FunctionEndpoints) -> tuple[Route, ...]:
    function = "/api/v1/functions/{language_title}"
    return (
        Route(
            "GET",
            "/api/v1/functions",
            functions.list,
            "functions",
            "List functions",
            gives=FunctionList,
            access=Access.READ_FUNCTIONS,
            route_class=RouteClass.FUNCTIONS,
            contract=of_functions.LIST_FUNCTIONS,
        ),
        Route(
            "GET",
            function,
            functions.get,
            "function",
            "Read a function",
            gives=FunctionResponse,
            access=Access.READ_FUNCTIONS,
            route_class=RouteClass.FUNCTIONS,
            contract=of_functions.GET_FUNCTION,
        ),
        Route(
            "PUT",
            function,
            functions.put,
            "put_function",
            "Register or replace a function",
            takes=FunctionBody,
            gives=FunctionResponse,
            access=Access.WRITE_FUNCTIONS,
            route_class=RouteClass.FUNCTIONS,
            contract=of_functions.PUT_FUNCTION,
        ),
        Route(
            "DELETE",
            function,
            functions.delete,
            "delete_function",
            "Deactivate a function",
            status=204,
            access=Access.WRITE_FUNCTIONS,
            route_class=RouteClass.FUNCTIONS,
            contract=of_functions.DELETE_FUNCTION,
        ),
        Route(
            "POST",
            function + "/check",
            functions.check,
            "check_function",
            "Run a function's examples",
            gives=FunctionCheck,
            access=Access.WRITE_FUNCTIONS,
            route_class=RouteClass.FUNCTIONS,
            contract=of_functions.CHECK_FUNCTION,
        ),
    )
