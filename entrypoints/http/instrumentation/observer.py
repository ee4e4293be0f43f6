"""What is told of every request."""

from typing import Protocol

from entrypoints.http.request import Request
from entrypoints.http.route import Route


class RequestObserver(Protocol):
    """Is told of every request once its answer has been sent, or its client has gone."""

    def begun(self, request: Request) -> None:  # noqa: ARG002  # most observers wait for the answer
        """Take note of a request that has just come, in the context in which it is answered. Never raises."""
        return

    def seen(self, request: Request, operation: Route | None, status: int, duration_s: float) -> None:
        """Take note; 499 is the status of a request whose client has gone. Never raises."""
        ...
