"""Refusals that HTTP alone knows."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from attrs import define
from typing_extensions import override

from domain.errors import DomainError, Invalid, InvalidRequest, NotFound, Problem

_SHOWN_MAX = 128


class ClientDisconnected(Exception):
    """The client has hung up: nobody is left to answer."""


@define(eq=False)
class HostNotAllowed(Invalid):
    """The request was meant for another server, or brought here by a name that somebody else made up."""

    code: ClassVar[str] = "INVALID_REQUEST"
    host: str | None

    @property
    @override
    def message(self) -> str:
        named = "no host" if self.host is None else f"the host {self.host[:_SHOWN_MAX]!r}"
        return (
            f"The request names {named}, which is no name of this server. Use one of its names; whoever runs it can add "
            "one by ALLOWED_HOSTS."
        )


@define(eq=False)
class RouteNotFound(NotFound):
    """No route has this path."""

    code: ClassVar[str] = "NOT_FOUND"

    @property
    @override
    def message(self) -> str:
        return "There is nothing at this path. The API begins at /api/v1/."


@define(eq=False)
class MethodNotAllowed(DomainError):
    """The path is known, the method is not."""

    code: ClassVar[str] = "METHOD_NOT_ALLOWED"
    allowed: tuple[str, ...]

    @property
    @override
    def message(self) -> str:
        return f"This path does not take the method. Use one of: {', '.join(self.allowed)}."

    @property
    @override
    def details(self) -> Mapping[str, object]:
        return {"allowed": self.allowed}


@define(eq=False)
class UnsupportedMediaType(DomainError):
    """The body is not declared as JSON in UTF-8."""

    code: ClassVar[str] = "UNSUPPORTED_MEDIA_TYPE"
    header: str
    value: str | None

    @property
    @override
    def message(self) -> str:
        return "Send the body as JSON in UTF-8, uncompressed, with the header Content-Type: application/json."

    @property
    @override
    def details(self) -> Mapping[str, object]:
        return {"header": self.header, "value": self.value if self.value is None else self.value[:_SHOWN_MAX]}


@define(eq=False)
class SlowBody(Invalid):
    """The body did not arrive in time."""

    code: ClassVar[str] = "INVALID_REQUEST"
    timeout_s: float

    @property
    @override
    def message(self) -> str:
        return f"The body did not arrive whole within {self.timeout_s:g} seconds. Nothing was done; send it again."


@define(eq=False)
class InvalidParams(InvalidRequest):
    """The envelope is right, and the script's parameters are not."""

    code: ClassVar[str] = "INVALID_PARAMS"


def invalid(problems: Iterable[Problem], kind: type[InvalidRequest] = InvalidRequest) -> InvalidRequest:
    """Return the refusal of a request that has these problems."""
    return kind(tuple(problems))  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter
