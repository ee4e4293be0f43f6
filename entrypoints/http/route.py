"""An operation: a row of the route table."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any

from attrs import frozen

from entrypoints.http.contracts.contract import Contract
from entrypoints.http.request import Request
from entrypoints.http.response import Response

Endpoint = Callable[[Request], Awaitable[Response]]


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
class Route:
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
