"""What a route promises beyond the types of its bodies, as data."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from domain.errors import DomainError


class Tag(StrEnum):
    """The groups of routes in the API document, in the order in which it shows them."""

    SESSIONS = "Sessions"
    EXECUTIONS = "Executions"
    FILES = "Files"
    FUNCTIONS = "Functions"
    WEBHOOKS = "Webhooks"
    SCHEDULES = "Schedules"
    SECRETS = "Secrets"
    ENVIRONMENTS = "Environments"
    OPERATIONS = "Operations"


class In(StrEnum):
    """The part of a request that carries a parameter."""

    PATH = "path"
    QUERY = "query"
    HEADER = "header"


@frozen
class Parameter:
    """A parameter, the type of its value, and an example. A list in a query may be repeated, or written with commas."""

    name: str
    location: In
    type: Any
    description: str
    example: Any
    required: bool = False


@frozen
class ResponseHeader:
    """A header of responses; `always` is False if some responses lack it."""

    name: str
    type: Any
    description: str
    example: Any
    always: bool = True


@frozen
class ApiExample:
    """A request that works as it stands, and its response.

    If the path names a session, it is the session that the example of `initialize` creates. `parameters` are those of
    the query and of headers, by name.
    """

    name: str
    summary: str
    response: Any = None
    body: Any = None
    parameters: Mapping[str, Any] = field(factory=dict)


@frozen
class Link:
    """A route that can follow a response; its parameters are runtime expressions of OpenAPI."""

    route: str
    description: str
    parameters: Mapping[str, str]


@frozen
class Contract:
    """What the API document says about a route. Facts that follow from the row in the route table are not repeated.

    Errors of bodies, of query strings, of authentication and of rate limits follow from the row, and so does
    INTERNAL_ERROR. `other_responses` has further statuses with the types of their bodies, `bodiless` the reasons for
    statuses without a body. `alternative` is the type of the response that a parameter selects. With `lines` the
    response is text of one of these media types, with a value of its type in each line. With `binary_body` the body of
    the request is any bytes, and `binary_responses` describes the statuses whose body is.
    """

    tag: Tag
    summary: str
    description: str
    parameters: tuple[Parameter, ...] = ()
    errors: tuple[type[DomainError], ...] = ()
    headers: tuple[ResponseHeader, ...] = ()
    examples: tuple[ApiExample, ...] = ()
    links: tuple[Link, ...] = ()
    other_responses: Mapping[int, type[Any]] = field(factory=dict)
    alternative: type[Any] | None = None
    lines: tuple[bytes, ...] = ()
    bodiless: Mapping[int, str] = field(factory=dict)
    body_optional: bool = False
    binary_body: bool = False
    binary_responses: Mapping[int, str] = field(factory=dict)
