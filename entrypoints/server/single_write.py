"""Sending an answer that is there as a whole by one call of the system.

As ASGI messages its head and its body go apart, each header is examined on its way, and that is a tenth of a request.
"""

from collections.abc import Iterable

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from entrypoints.http.request import Header

_SIZE_MAX = 64 * 1024
"""Larger bodies are written as they are: joining them to their head would copy them."""


class SingleWrite:
    """What one cycle of uvicorn offers beside its `send`."""

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle: RequestResponseCycle | None = cycle

    def __call__(self, status: int, headers: Iterable[Header], body: bytes) -> bool:
        cycle = self._cycle
        if cycle is None or cycle.flow.write_paused or cycle.disconnected or cycle.response_started:
            return False
        if len(body) > _SIZE_MAX:
            return False
        content = [STATUS_LINE[status]]
        for name, value in (*cycle.default_headers, *headers):
            if b"\n" in value:
                raise ValueError(f"a line break in the header {name.decode()}")
            if name == b"connection" and value == b"close":
                cycle.keep_alive = False
            content += (name, b": ", value, b"\r\n")
        # Whoever was not asked for a body sends it or does not: the next request could be taken for it (as in Go).
        cycle.keep_alive = cycle.keep_alive and not cycle.waiting_for_100_continue
        if not cycle.keep_alive:
            content.append(b"connection: close\r\n")
        content += (b"\r\n", b"" if cycle.scope["method"] == "HEAD" else body)
        cycle.transport.write(b"".join(content))
        self._cycle = None  # it refers to the scope, and the scope to this: nothing is left to the collector
        _complete(cycle)
        return True

    def abort(self) -> None:
        """Close the connection at once; unsent bytes are lost."""
        if self._cycle is not None:
            self._cycle.transport.abort()


def _complete(cycle: RequestResponseCycle) -> None:
    """Leave the cycle as its own `send` leaves it after the last message."""
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
