"""An HTTP connection whose requests begin within a bounded size and time."""

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar

import msgspec
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from entrypoints.http.request import WHOLE_ANSWER
from entrypoints.supervision.patience import Patience
from entrypoints.supervision.whole_answer import WholeAnswer

_NOT_HTTP = "This is not a request of HTTP/1.1 that can be read. Nothing was done; correct it and send it again."
_LARGE_HEAD = "The request's line and headers take more than the {} bytes that are allowed. Send less."


class BoundedConnection(HttpToolsProtocol):
    """A connection of uvicorn, which by itself would wait for ever for a request's head, and gather it without end.

    `head_bytes_max` is looked at after each read. A connection on which nothing comes has the time of an idle one.
    """

    head_bytes_max: ClassVar[int] = 64 * 1024
    head_timeout_s: ClassVar[float] = 10.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = True
        self._head_bytes = 0
        self._patience = Patience(self.loop, self.timeout_keep_alive_handler)

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn types it
        super().connection_made(transport)
        self._patience.last(self.timeout_keep_alive)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._patience.close()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        # Nearly every head comes whole, and then there is nothing to wait for.
        if self._in_head and self._head_bytes:
            self._await_head(is_first=self._head_bytes == len(data))

    @override
    def on_headers_complete(self) -> None:
        self._patience.rest()
        self._in_head = False
        super().on_headers_complete()
        extensions: dict[str, Any] = {WHOLE_ANSWER: WholeAnswer(self.cycle)}
        self.cycle.scope["extensions"] = extensions

    @override
    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head, self._head_bytes = True, 0

    @override
    def on_response_complete(self) -> None:
        """Do as uvicorn does, save for its timer for idle connections."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._patience.last(self.timeout_keep_alive)

    @override
    def send_400_response(self, msg: str) -> None:
        self._refuse(HTTPStatus.BAD_REQUEST, _NOT_HTTP)

    def _await_head(self, *, is_first: bool) -> None:
        if self._head_bytes > self.head_bytes_max:
            message = _LARGE_HEAD.format(self.head_bytes_max)
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, message)
        elif is_first:
            self._patience.last(self.head_timeout_s)

    def _owes_an_answer(self) -> bool:
        """Whether a whole request has come and is not answered: what comes now would be taken for its answer."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            return False
        return cycle.response_started or not cycle.more_body or bool(self.pipeline)

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        """Answer in the shape of all errors, unless an earlier answer is still under way, and hang up."""
        if not self._owes_an_answer():
            self.transport.write(_answer(status, message))
        self.transport.close()


def _answer(status: HTTPStatus, message: str) -> bytes:
    body = msgspec.json.encode({"error": {"code": "INVALID_REQUEST", "message": message, "details": {}}})
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
