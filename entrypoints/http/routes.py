"""The route table."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any

from attrs import frozen

from entrypoints.http import payloads
from entrypoints.http.answer import Answer
from entrypoints.http.endpoints.executions import ExecutionEndpoints
from entrypoints.http.endpoints.operations import OperationsEndpoints
from entrypoints.http.endpoints.sessions import SessionEndpoints
from entrypoints.http.request import Request

Endpoint = Callable[[Request], Awaitable[Answer]]


class Access(StrEnum):
    """Who may ask: anybody, every known caller, or those with certain scopes."""

    OPEN = "open"
    OWNER = "owner"
    EXECUTE = "execute"
    READ_FUNCTIONS = "read-functions"
    WRITE_FUNCTIONS = "write-functions"
    ADMIN = "admin"


class RouteClass(StrEnum):
    """What an operation counts as where rates are limited."""

    SESSIONS = "sessions"
    EXECUTE = "execute"
    FUNCTIONS = "functions"


@frozen
class Operation:
    """A method on a path, what answers it, and the types of the bodies on either side.

    An `exempt` operation is answered however many requests are inside, and while the server drains.
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


@frozen
class Endpoints:
    """What answers the operations."""

    sessions: SessionEndpoints
    executions: ExecutionEndpoints
    process: OperationsEndpoints


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
        ),
        Operation("GET", "/api/v1/sessions", sessions.list, "list", "List sessions", gives=payloads.SessionPage),
        Operation("GET", session, sessions.get, "get", "Read a session", gives=payloads.Session),
        Operation(
            "PATCH",
            session,
            sessions.patch,
            "patch",
            "Change a session",
            takes=payloads.PatchBody,
            gives=payloads.Session,
        ),
        Operation("DELETE", session, sessions.delete, "delete", "Close a session", status=204),
        Operation(
            "GET",
            session + "/executions",
            executions.list,
            "history",
            "List a session's executions",
            gives=payloads.ExecutionPage,
        ),
        Operation(
            "GET",
            "/livez",
            process.livez,
            "livez",
            "Tell that the process runs",
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
            exempt=True,
            access=Access.OPEN,
            route_class=None,
        ),
        Operation(
            "GET",
            "/health",
            process.health,
            "health",
            "Describe all parts",
            exempt=True,
            access=Access.OPEN,
            route_class=None,
        ),
    )
