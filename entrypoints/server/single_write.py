"""Sends a complete response with one system call.

As ASGI messages, head and body are sent apart and each header is checked on its way, which costs a tenth of a request.
"""

from collections.abc import Iterable

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from entrypoints.http.request import Header

_SIZE_MAX = 64 * 1024
"""Larger bodies are sent as ASGI messages: joining them to their head would copy them."""


class UvicornSingleWrite:
    """The extension `SINGLE_WRITE` of one request cycle of uvicorn."""

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
        # A client that waits for 100-continue may still send its body, which would look like the next request (as in Go).
        cycle.keep_alive = cycle.keep_alive and not cycle.waiting_for_100_continue
        if not cycle.keep_alive:
            content.append(b"connection: close\r\n")
        content += (b"\r\n", b"" if cycle.scope["method"] == "HEAD" else body)
        cycle.transport.write(b"".join(content))
        self._cycle = None  # breaks the reference cycle with the scope, so that the garbage collector has no work
        _complete(cycle)
        return True

    def abort(self) -> None:
        """Close the connection at once; unsent bytes are lost."""
        if self._cycle is not None:
            self._cycle.transport.abort()


def _complete(cycle: RequestResponseCycle) -> None:
    """Leave the cycle in the state in which its own `send` leaves it after the last message."""
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
