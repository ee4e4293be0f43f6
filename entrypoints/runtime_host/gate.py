"""The outer door of a runtime host: who may enter, and how many at once."""

import hmac
from http import HTTPStatus

from attrs import define, field
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.errors import Overloaded
from entrypoints.runtime_host.errors import HostError, answer_domain_error, answer_refusal


@define(eq=False)
class HostAdmission:
    """Lets at most `requests_max` requests in at once, each with the bearer token, if there is one."""

    app: ASGIApp
    token: str | None = field(repr=False)
    requests_max: int
    _inside: int = field(default=0, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif not self._knows(request := Request(scope)):
            await (await answer_refusal(request, _unauthorized()))(scope, receive, send)
        elif self._inside >= self.requests_max:
            await (await answer_domain_error(request, Overloaded("the runtime host")))(scope, receive, send)
        else:
            await self._enter(scope, receive, send)

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._inside += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._inside -= 1

    def _knows(self, request: Request) -> bool:
        if self.token is None:
            return True
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(token.strip().encode(), self.token.encode())
        return same and scheme.lower() == "bearer"


def _unauthorized() -> HostError:
    message = "send the token of this runtime host: Authorization: Bearer ..."
    return HostError(HTTPStatus.UNAUTHORIZED, "UNAUTHORIZED", message, {"WWW-Authenticate": "Bearer"})
