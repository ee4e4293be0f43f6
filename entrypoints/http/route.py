"""A route, and the table that finds the route of a request."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from attrs import define, field, frozen

from domain.access.principal import ANY_EXECUTE, ANY_READ, ANY_SECRETS, ANY_WEBHOOKS, ANY_WRITE, Scope
from domain.environments.environment import NAME_PATTERN, EnvironmentNotFound
from domain.executions.execution import ExecutionNotFound
from domain.files.file import FileNotFound
from domain.idempotency import NO_SESSION
from domain.schedules.schedule import ScheduleNotFound
from domain.sessions.session import SessionNotFound
from domain.webhooks.delivery import DeliveryNotFound
from domain.webhooks.webhook import WebhookNotFound
from entrypoints.http.contract import Contract, In
from entrypoints.http.errors import MethodNotAllowed, RouteNotFound
from entrypoints.http.request import Request
from entrypoints.http.response import Response

Endpoint = Callable[[Request], Awaitable[Response]]

_SHOWN_MAX = 64
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)


class Access(StrEnum):
    """Who may call a route.

    OPEN: everybody. DETAIL: everybody, but only admins see details. RUNTIME_HOST: runtime hosts, whose token the
    endpoint checks. OWNER: every authenticated caller. The others need one of the scopes in `SCOPES`.
    """

    OPEN = "open"
    DETAIL = "detail"
    RUNTIME_HOST = "runtime-host"
    OWNER = "owner"
    EXECUTE = "execute"
    READ_FUNCTIONS = "read-functions"
    WRITE_FUNCTIONS = "write-functions"
    WEBHOOKS = "webhooks"
    WRITE_SCHEDULES = "write-schedules"
    WRITE_FILES = "write-files"
    READ_SECRETS = "read-secrets"
    WRITE_SECRETS = "write-secrets"
    ADMIN = "admin"


WITHOUT_CREDENTIAL = frozenset({Access.OPEN, Access.DETAIL, Access.RUNTIME_HOST})
"""Routes that callers without a token or an API key of an owner may call."""

SCOPES: Mapping[Access, frozenset[Scope]] = {
    Access.EXECUTE: ANY_EXECUTE,
    Access.READ_FUNCTIONS: ANY_READ,
    Access.WRITE_FUNCTIONS: ANY_WRITE,
    Access.WEBHOOKS: ANY_WEBHOOKS,
    Access.WRITE_SCHEDULES: frozenset({Scope.WRITE_SCHEDULES}),
    Access.WRITE_FILES: frozenset({Scope.WRITE_FILES}),
    Access.READ_SECRETS: ANY_SECRETS,
    Access.WRITE_SECRETS: frozenset({Scope.WRITE_SECRETS}),
    Access.ADMIN: frozenset({Scope.ADMIN}),
}
"""The scopes of which a caller needs one."""


def needed_scopes(access: Access) -> tuple[str, ...]:
    """Return the scopes of which a caller needs one; empty if no scope is needed."""
    return tuple(sorted(SCOPES.get(access, ())))


class RouteClass(StrEnum):
    """The rate limit that counts the calls of a route."""

    SESSIONS = "sessions"
    EXECUTE = "execute"
    FUNCTIONS = "functions"


@frozen
class Route:
    """A method and a path, the endpoint, and the types of the bodies of request and response.

    The in-flight limiter does not count an `exempt` route, so it responds under overload and during the drain. A route
    with `shown=False` is not in the API document. The endpoint of a route with
    `checks_languages` looks at the scopes of languages itself.
    """

    method: str
    path: str
    endpoint: Endpoint
    name: str
    contract: Contract | None = None
    body: type[Any] | None = None
    response: type[Any] | None = None
    status: int = 200
    access: Access = Access.OWNER
    route_class: RouteClass | None = RouteClass.SESSIONS
    exempt: bool = False
    shown: bool = True
    checks_languages: bool = False
    label: str = field()
    """What logs, metrics and traces call the route; the default is its path."""
    query_names: frozenset[str] = field(init=False)
    """The parameters that a query string may have, from the contract."""

    @label.default
    def _label(self) -> str:
        return self.path

    @query_names.default
    def _query_names(self) -> frozenset[str]:
        parameters = () if self.contract is None else self.contract.parameters
        return frozenset(parameter.name for parameter in parameters if parameter.location is In.QUERY)


@define
class _Node:
    """One segment of paths: literal segments lead on by name, any other segment by the parameter."""

    literals: dict[str, "_Node"] = field(factory=dict)
    parameter: str | None = None
    following: "_Node | None" = None
    methods: dict[str, Route] = field(factory=dict)

    def step(self, segment: str) -> "_Node":
        """Return the node behind a segment of a template, created if need be."""
        if not segment.startswith("{"):
            return self.literals.setdefault(segment, _Node())
        name = segment[1:-1]
        assert self.parameter in (None, name), f"one segment, two names: {self.parameter} and {name}"
        self.parameter = name
        self.following = self.following or _Node()
        return self.following


class RouteTable:
    """Finds routes by exact comparison of path segments. A GET route also serves HEAD."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for route in routes:
            self._add(route)

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        """Return the route and the texts of its path parameters. Raises RouteNotFound or MethodNotAllowed."""
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
        route = node.methods.get(method)
        if route is None:
            raise MethodNotAllowed(tuple(sorted(node.methods))) if node.methods else RouteNotFound
        return route, texts

    def _add(self, route: Route) -> None:
        node = self._root
        for segment in route.path.split("/"):
            node = node.step(segment)
        assert route.method not in node.methods, f"two routes: {route.method} {route.path}"
        node.methods[route.method] = route
        if route.method == "GET":
            node.methods["HEAD"] = route


def session_id_of(text: str) -> UUID:
    """Return the id of a session in a path; raises SessionNotFound if no session can have it."""
    # The nil UUID is no session: the idempotency keys of calls that create sessions are stored under it.
    if not _UUID.fullmatch(text) or (session_id := msgspec.convert(text, UUID)) == NO_SESSION:
        raise SessionNotFound
    return session_id


def _execution_id(text: str) -> UUID:
    if not _UUID.fullmatch(text):
        raise ExecutionNotFound
    return msgspec.convert(text, UUID)


def _schedule_id(text: str) -> UUID:
    if not _UUID.fullmatch(text):
        raise ScheduleNotFound
    return msgspec.convert(text, UUID)


def _file_id(text: str) -> UUID:
    if not _UUID.fullmatch(text):
        raise FileNotFound
    return msgspec.convert(text, UUID)


def _webhook_id(text: str) -> UUID:
    if not _UUID.fullmatch(text):
        raise WebhookNotFound
    return msgspec.convert(text, UUID)


def _delivery_id(text: str) -> UUID:
    if not _UUID.fullmatch(text):
        raise DeliveryNotFound
    return msgspec.convert(text, UUID)


def _environment(text: str) -> str:
    if not re.fullmatch(NAME_PATTERN, text):
        raise EnvironmentNotFound(text[:_SHOWN_MAX])
    return text


def _environment_version(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,8}", text, re.ASCII):
        raise EnvironmentNotFound(None, text[:_SHOWN_MAX])
    return int(text)


PATH_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "request_id": session_id_of,
    "execution_id": _execution_id,
    "webhook_id": _webhook_id,
    "delivery_id": _delivery_id,
    "schedule_id": _schedule_id,
    "file_id": _file_id,
    "language_title": str,
    "state_key": str,
    "secret_name": str,
    "environment": _environment,
    "environment_version": _environment_version,
    "host_name": str,
    "tree_digest": str,
    "id": str,
}
"""How each path parameter is parsed, by its name in path templates. A text that is no UUID names nothing: 404.

Endpoints that serve ids of another service parse `id` themselves.

msgspec makes a UUID of a text in a third of the time of UUID itself.
"""
