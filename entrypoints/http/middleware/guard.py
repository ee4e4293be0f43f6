"""What is asked before an endpoint."""

from typing import Protocol

from entrypoints.http.request import Request
from entrypoints.http.response import Headers
from entrypoints.http.route import Route


class Guard(Protocol):
    """Judges a request whose operation is known, before anything of its body is read."""

    async def admit(self, request: Request, operation: Route) -> Headers:
        """Return headers for the answer, whatever it will be; raises a DomainError to refuse.

        A guard may set `request.caller`; guards are asked in order.
        """
        ...
