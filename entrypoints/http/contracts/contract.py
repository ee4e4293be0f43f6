"""What an operation promises beyond the types of its bodies, as data."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from domain.errors import DomainError


class Tag(StrEnum):
    """What operations are grouped by, in the order in which they are shown."""

    SESSIONS = "Sessions"
    EXECUTIONS = "Executions"
    FUNCTIONS = "Functions"
    OPERATIONS = "Operations"


class In(StrEnum):
    """Where a parameter is sent."""

    PATH = "path"
    QUERY = "query"
    HEADER = "header"


@frozen
class Parameter:
    """A parameter, the type that its value has, and an example of it; a list is written with commas."""

    name: str
    place: In
    kind: Any
    description: str
    example: Any
    required: bool = False


@frozen
class ResponseHeader:
    """A header of answers; `always` unless it has its occasions."""

    name: str
    kind: Any
    description: str
    example: Any
    always: bool = True


@frozen
class ApiExample:
    """A request that works as it stands, and its answer: of a session's path, the session that `of` initializes.

    `parameters` are those of query and header, by name.
    """

    name: str
    summary: str
    answer: Any = None
    body: Any = None
    parameters: Mapping[str, Any] = field(factory=dict)


@frozen
class Link:
    """Another operation that goes on from an answer; parameters are runtime expressions of OpenAPI."""

    operation: str
    description: str
    parameters: Mapping[str, str]


@frozen
class Contract:
    """What callers are told of an operation; what follows from its row in the route table is not repeated here.

    Refusals of bodies, of unknown callers, of too many calls, and bugs follow from the row. `also` are other statuses
    with the types of their bodies, `alternative` is what a parameter turns the answer into, `media_type` is of answers.
    """

    tag: Tag
    description: str
    parameters: tuple[Parameter, ...] = ()
    errors: tuple[type[DomainError], ...] = ()
    headers: tuple[ResponseHeader, ...] = ()
    examples: tuple[ApiExample, ...] = ()
    links: tuple[Link, ...] = ()
    also: Mapping[int, type[Any]] = field(factory=dict)
    alternative: type[Any] | None = None
    media_type: str = "application/json"
    body_optional: bool = False


def query_names(parameters: Iterable[Parameter]) -> frozenset[str]:
    """Return the names that a query string may have."""
    return frozenset(parameter.name for parameter in parameters if parameter.place is In.QUERY)
