"""What is asked before an endpoint, and what is told after it."""

from typing import Protocol

from entrypoints.http.answer import Headers
from entrypoints.http.request import Request
from entrypoints.http.routes import Operation


class Guard(Protocol):
    """Judges a request whose operation is known, before anything of its body is read."""

    async def admit(self, request: Request, operation: Operation) -> Headers:
        """Return headers for the answer, whatever it will be; raises a DomainError to refuse.

        A guard may set `request.caller`; guards are asked in order.
        """
        ...


class Observer(Protocol):
    """Is told of every request once its answer has been sent, or its client has gone."""

    def begun(self, request: Request) -> None:  # noqa: ARG002  # most observers wait for the answer
        """Take note of a request that has just come, in the context in which it is answered. Never raises."""
        return

    def seen(self, request: Request, operation: Operation | None, status: int, duration_s: float) -> None:
        """Take note; 499 is the status of a request whose client has gone. Never raises."""
        ...
