"""The origin's routes. Every request has one, also those for unknown paths."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from attrs import evolve, frozen
from typing_extensions import override

from entrypoints.http.errors import MethodNotAllowed, RouteNotFound
from entrypoints.http.route import Access, Route, RouteClass, RouteTable
from entrypoints.origin.endpoints import OriginFunctionEndpoints, OriginOtherEndpoints, OriginSessionEndpoints

Front = Callable[[Route], Route]
"""Returns a route whose endpoint decides who serves a request: the endpoint of the given route, or another service.

No body is read before the endpoint. `id` is the text of a session's id in the path, of any form.
"""

_initialize = partial(Route, access=Access.EXECUTE, route_class=RouteClass.SESSIONS, checks_languages=True)
_execute = partial(Route, access=Access.EXECUTE, route_class=RouteClass.EXECUTE)
_own = partial(Route, access=Access.OWNER, route_class=RouteClass.SESSIONS)
_functions = partial(Route, access=Access.READ_FUNCTIONS, route_class=RouteClass.FUNCTIONS)
# Exempt, because callers without a credential must not use up capacity that others need.
_open = partial(Route, access=Access.OPEN, route_class=None, exempt=True)


@frozen
class OriginEndpoints:
    """The endpoints of all routes."""

    sessions: OriginSessionEndpoints
    functions: OriginFunctionEndpoints
    others: OriginOtherEndpoints


def routes(endpoints: OriginEndpoints) -> tuple[Route, ...]:
    """Return all routes; the last one is that of unknown paths."""
    sessions, functions, others = endpoints.sessions, endpoints.functions, endpoints.others
    table = (
        _initialize("POST", "/api/v1/initialize", sessions.initialize, "origin_initialize"),
        _execute("POST", "/api/v1/execute/{id}", sessions.execute, "origin_execute"),
        _own("GET", "/api/v1/sessions/{id}", sessions.get, "origin_get_session"),
        _functions("GET", "/api/v1/functions", functions.list, "origin_list_functions"),
        _functions("GET", "/api/v1/functions/{language_title}", functions.get, "origin_get_function"),
        _open("GET", "/health", others.health, "origin_health"),
        _open("OTHER", "unmatched", others.unmatched, "origin_unmatched"),
    )
    return tuple(evolve(route, label=f"origin:{route.path}") for route in table)


class OriginRoutes(RouteTable):
    """Finds a route for every request: the last one for an unknown path, and for a method that a path does not have.

    HEAD is such a method for the origin, also where there is a GET.
    """

    def __init__(self, table: Iterable[Route]) -> None:
        *known, self._unmatched = table
        super().__init__(known)

    @override
    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        try:
            return super().find("" if method == "HEAD" else method, path)
        except (RouteNotFound, MethodNotAllowed):
            return self._unmatched, {}
