"""From method and path to the endpoint, ahead of Starlette's router."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import uuid4

from attrs import define, field
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from domain.errors import DomainError
from entrypoints.http.answer import Answer
from entrypoints.http.errors import error_answer, internal_error_answer
from entrypoints.http.lingering import send_ahead
from entrypoints.http.path_parameters import PARSERS
from entrypoints.http.refusals import ClientGone, MethodNotAllowed, RouteNotFound
from entrypoints.http.request import Request
from entrypoints.http.routes import Operation


@define
class _Node:
    """One step of a path: literal segments lead on by name, any other by the parameter."""

    literals: dict[str, "_Node"] = field(factory=dict)
    parameter: str | None = None
    following: "_Node | None" = None
    methods: dict[str, Operation] = field(factory=dict)

    def step(self, segment: str) -> "_Node":
        """Return the node behind a segment of a template, made if need be."""
        if not segment.startswith("{"):
            return self.literals.setdefault(segment, _Node())
        name = segment[1:-1]
        assert self.parameter in (None, name), f"one place, two names: {self.parameter} and {name}"
        self.parameter = name
        self.following = self.following or _Node()
        return self.following


class RouteTable:
    """Finds operations by exact comparison of path segments; HEAD is answered where GET is."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._root = _Node()
        for operation in operations:
            self._add(operation)

    def find(self, method: str, path: str) -> tuple[Operation, Mapping[str, str]]:
        """Return the operation and the texts of its parameters. Raises RouteNotFound or MethodNotAllowed."""
        texts: dict[str, str] = {}
        node = self._root
        for segment in path.split("/"):
            following = node.literals.get(segment)
            if following is None:
                following = node.following
                if following is None or not segment:
                    raise RouteNotFound
                texts[node.parameter or ""] = segment
            node = following
        operation = node.methods.get(method)
        if operation is None:
            raise MethodNotAllowed(tuple(sorted(node.methods))) if node.methods else RouteNotFound
        return operation, texts

    def _add(self, operation: Operation) -> None:
        node = self._root
        for segment in operation.path.split("/"):
            node = node.step(segment)
        assert operation.method not in node.methods, f"twice: {operation.method} {operation.path}"
        node.methods[operation.method] = operation
        if operation.method == "GET":
            node.methods["HEAD"] = operation


class Dispatch:
    """Answers every HTTP request out of the route table, whatever an endpoint raises; the rest goes to `app`."""

    def __init__(self, app: ASGIApp, table: RouteTable, log: FilteringBoundLogger) -> None:
        self._app = app
        self._table = table
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = await self._answer(scope, receive)
        if answer is not None:
            await (send_ahead(answer, scope, receive, send) if answer.ahead else answer.send(send))

    async def _answer(self, scope: Scope, receive: Receive) -> Answer | None:
        parameters: dict[str, Any] = {}
        scope["path_params"] = parameters
        try:
            return await self._asked(scope, receive, parameters)
        except ClientGone:
            return None
        except Exception:  # noqa: BLE001  # whatever it is, the caller gets an answer and the log the traceback
            error_id = uuid4()
            x_request_id = scope.get("x_request_id")
            self._log.exception("internal error", error_id=str(error_id), x_request_id=x_request_id)
            return internal_error_answer(error_id, parameters.get("request_id"))

    async def _asked(self, scope: Scope, receive: Receive, parameters: dict[str, Any]) -> Answer:
        try:
            operation, texts = self._table.find(scope["method"], _route_path(scope))
            scope["route"] = operation
            for name, text in texts.items():
                parameters[name] = PARSERS[name](text)
            return await operation.endpoint(Request(scope, receive, parameters))
        except DomainError as error:
            return error_answer(error, parameters.get("request_id"))


def _route_path(scope: Scope) -> str:
    """Return the path without the prefix under which the application is mounted."""
    path: str = scope["path"]
    prefix = scope.get("root_path", "")
    return path.removeprefix(prefix) if prefix else path
