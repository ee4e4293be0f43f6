"""The guards of what no route can serve."""

from typing import Protocol

from attrs import frozen
from typing_extensions import override

from domain.errors import StorageUnavailable
from domain.storage.faults import StorageFault
from domain.takeover.passing import OriginLoop, is_from_front
from entrypoints.http.errors import ExpectationFailed
from entrypoints.http.parsing.queries import Query
from entrypoints.http.pipeline import Guard
from entrypoints.http.request import Request
from entrypoints.http.response import Headers
from entrypoints.http.route import Route

_CONTINUE = "100-continue"


class LoopGuard(Guard):
    """Rejects what a front has passed on: its ORIGIN_URL leads to this API instead of lambda-microservice.

    It comes before all other guards: a front keeps credentials, and passes the names of hosts on. The front reads the
    header, because it knows the errors of its own API only.
    """

    @override
    async def admit(self, request: Request, route: Route) -> Headers:
        if is_from_front(request.scope["headers"]):
            request.response_headers += ((b"x-error-code", OriginLoop.code.encode()),)
            raise OriginLoop
        return ()


class UnknownNodes(Protocol):
    """Says whether the database is divided among nodes that this process does not know."""

    @property
    def are_there(self) -> bool:
        """Whether it is."""
        ...


@frozen
class NodesGuard(Guard):
    """Rejects calls once the database is divided among nodes that this process does not know.

    It would look for all sessions in one place, so it would not find some, and run a repeated call twice. Routes that
    are `exempt` serve: they show the state of the process.
    """

    _nodes: UnknownNodes

    @override
    async def admit(self, request: Request, route: Route) -> Headers:
        if self._nodes.are_there and not route.exempt:
            raise StorageUnavailable.of(StorageFault.NODES_UNKNOWN, stored="no", executed="no")
        return ()


class RequestGuard(Guard):
    """Rejects unknown expectations (RFC 9110, section 10.1.1), and query parameters on routes that have none.

    The endpoints of other routes read their own parameters.
    """

    @override
    async def admit(self, request: Request, route: Route) -> Headers:
        expected = request.header(b"expect")
        if expected is not None and expected.lower() != _CONTINUE:
            raise ExpectationFailed(expected)
        if request.query_string and not route.query_names:
            Query(request.query_string, route.query_names).require_valid()
        return ()
