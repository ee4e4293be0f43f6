"""The route table."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any

from attrs import frozen

from entrypoints.http import payloads, payloads_batch, payloads_function_checks, payloads_functions, payloads_operations
from entrypoints.http.answer import Answer
from entrypoints.http.contract import Contract
from entrypoints.http.contracts import batches as of_batches
from entrypoints.http.contracts import executions as of_executions
from entrypoints.http.contracts import functions as of_functions
from entrypoints.http.contracts import operations as of_operations
from entrypoints.http.contracts import sessions as of_sessions
from entrypoints.http.docs_ui.page import ASSETS
from entrypoints.http.endpoints.batches import BatchEndpoints
from entrypoints.http.endpoints.documents import DocumentEndpoints
from entrypoints.http.endpoints.executions import ExecutionEndpoints
from entrypoints.http.endpoints.functions import FunctionEndpoints
from entrypoints.http.endpoints.metrics import MetricsEndpoint
from entrypoints.http.endpoints.operations import OperationsEndpoints
from entrypoints.http.endpoints.sessions import SessionEndpoints
from entrypoints.http.request import Request

Endpoint = Callable[[Request], Awaitable[Answer]]


class Access(StrEnum):
    """Who may ask: anybody, anybody who is told less than an admin, every known caller, or those with certain scopes."""

    OPEN = "open"
    DETAIL = "detail"
    OWNER = "owner"
    EXECUTE = "execute"
    READ_FUNCTIONS = "read-functions"
    WRITE_FUNCTIONS = "write-functions"
    ADMIN = "admin"


TO_NOBODY = frozenset({Access.OPEN, Access.DETAIL})
"""What those are answered too who have not said who they are."""


class RouteClass(StrEnum):
    """What an operation counts as where rates are limited."""

    SESSIONS = "sessions"
    EXECUTE = "execute"
    FUNCTIONS = "functions"


@frozen
class Operation:
    """A method on a path, what answers it, and the types of the bodies on either side.

    An `exempt` operation is answered however many requests are inside, and while the server drains. Its `contract` is
    what callers are told; one that is not `shown` is not in the document.
    """

    method: str
    path: str
    endpoint: Endpoint
    name: str
    summary: str
    takes: type[Any] | None = None
    gives: type[Any] | None = None
    status: int = 200
    exempt: bool = False
    access: Access = Access.OWNER
    route_class: RouteClass | None = RouteClass.SESSIONS
    contract: Contract | None = None
    shown: bool = True


@frozen
class Endpoints:
    """What answers the operations."""

    sessions: SessionEndpoints
    executions: ExecutionEndpoints
    batches: BatchEndpoints
    functions: FunctionEndpoints
    process: OperationsEndpoints
    documents: DocumentEndpoints
    metrics: MetricsEndpoint


def operations(endpoints: Endpoints) -> tuple[Operation, ...]:
    """Return everything that can be asked for."""
    sessions, executions, process = endpoints.sessions, endpoints.executions, endpoints.process
    session = "/api/v1/sessions/{request_id}"
    return (
        Operation(
            "POST",
            "/api/v1/initialize",
            sessions.initialize,
            "initialize",
            "Initialize a session",
            access=Access.EXECUTE,
            takes=payloads.InitializeBody,
            gives=payloads.Initialized,
            contract=of_sessions.INITIALIZE,
        ),
        Operation(
            "POST",
            "/api/v1/execute/{request_id}",
            executions.execute,
            "execute",
            "Execute a session's script",
            access=Access.EXECUTE,
            route_class=RouteClass.EXECUTE,
            takes=payloads.ExecuteBody,
            gives=payloads.Executed,
            contract=of_executions.EXECUTE,
        ),
        Operation(
            "POST",
            "/api/v1/execute/{request_id}/batch",
            endpoints.batches.execute,
            "execute_batch",
            "Execute a session's script many times",
            access=Access.EXECUTE,
            route_class=RouteClass.EXECUTE,
            takes=payloads_batch.BatchBody,
            gives=payloads_batch.BatchLine,
            contract=of_batches.EXECUTE_BATCH,
        ),
        Operation(
            "GET",
            "/api/v1/sessions",
            sessions.list,
            "list",
            "List sessions",
            gives=payloads.SessionPage,
            contract=of_sessions.LIST,
        ),
        Operation(
            "GET",
            session,
            sessions.get,
            "get",
            "Read a session",
            gives=payloads.Session,
            contract=of_sessions.GET,
        ),
        Operation(
            "PATCH",
            session,
            sessions.patch,
            "patch",
            "Change a session",
            takes=payloads.PatchBody,
            gives=payloads.Session,
            contract=of_sessions.PATCH,
        ),
        Operation(
            "DELETE",
            session,
            sessions.delete,
            "delete",
            "Close a session",
            status=204,
            contract=of_sessions.DELETE,
        ),
        Operation(
            "GET",
            session + "/executions",
            executions.list,
            "history",
            "List a session's executions",
            gives=payloads.ExecutionPage,
            contract=of_executions.HISTORY,
        ),
        Operation(
            "GET",
            "/api/v1/executions/{execution_id}",
            executions.get,
            "execution",
            "Read an execution",
            gives=payloads.SingleExecution,
            contract=of_executions.EXECUTION,
        ),
        *_of_functions(endpoints.functions),
        Operation(
            "GET",
            "/livez",
            process.livez,
            "livez",
            "Tell that the process runs",
            gives=payloads_operations.Liveness,
            contract=of_operations.LIVEZ,
            exempt=True,
            access=Access.OPEN,
            route_class=None,
        ),
        Operation(
            "GET",
            "/readyz",
            process.readyz,
            "readyz",
            "Tell whether to send work here",
            gives=payloads_operations.Readiness,
            contract=of_operations.READYZ,
            exempt=True,
            access=Access.DETAIL,
            route_class=None,
        ),
        Operation(
            "GET",
            "/health",
            process.health,
            "health",
            "Describe all parts",
            gives=payloads_operations.Health,
            contract=of_operations.HEALTH,
            exempt=True,
            access=Access.DETAIL,
            route_class=None,
        ),
        Operation(
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


def _documents(documents: DocumentEndpoints) -> tuple[Operation, ...]:
    """Return what is no part of the API: the document that describes it, and the page that shows the document."""

    def shown_by_page(path: str, endpoint: Endpoint, name: str, summary: str) -> Operation:
        # Exempt, because those who are not known and leave answers unread would hold places that others need.
        return Operation(
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


def _of_functions(functions: FunctionEndpoints) -> tuple[Operation, ...]:
    function = "/api/v1/functions/{language_title}"
    return (
        Operation(
            "GET",
            "/api/v1/functions",
            functions.list,
            "functions",
            "List functions",
            gives=payloads_functions.FunctionList,
            access=Access.READ_FUNCTIONS,
            route_class=RouteClass.FUNCTIONS,
            contract=of_functions.LIST_FUNCTIONS,
        ),
        Operation(
            "GET",
            function,
            functions.get,
            "function",
            "Read a function",
            gives=payloads_functions.Function,
            access=Access.READ_FUNCTIONS,
            route_class=RouteClass.FUNCTIONS,
            contract=of_functions.GET_FUNCTION,
        ),
        Operation(
            "PUT",
            function,
            functions.put,
            "put_function",
            "Register or replace a function",
            takes=payloads_functions.FunctionBody,
            gives=payloads_functions.Function,
            access=Access.WRITE_FUNCTIONS,
            route_class=RouteClass.FUNCTIONS,
            contract=of_functions.PUT_FUNCTION,
        ),
        Operation(
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
        Operation(
            "POST",
            function + "/check",
            functions.check,
            "check_function",
            "Run a function's examples",
            gives=payloads_function_checks.FunctionCheck,
            access=Access.WRITE_FUNCTIONS,
            route_class=RouteClass.FUNCTIONS,
            contract=of_functions.CHECK_FUNCTION,
        ),
    )
