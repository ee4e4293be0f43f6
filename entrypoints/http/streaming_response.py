"""A response of many lines, each sent as soon as it exists."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from attrs import define
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import override

from domain.concurrency.budget import Budget
from entrypoints.http.request import ClientDisconnected, until_disconnect
from entrypoints.http.response import PRIVATE, Relay, Response, SingleWrite, single_write

SendLine = Callable[[bytes], Awaitable[None]]
"""Sends one line without a line break; returns when the client may take another."""

_HEADERS = (
    *PRIVATE,
    # A proxy that buffers responses would send a caller nothing before the end.
    (b"x-accel-buffering", b"no"),
)
_ABORT_TIMEOUT_S = 1.0


class StreamEnd(StrEnum):
    """How a stream ended."""

    COMPLETE = "complete"
    DISCONNECTED = "disconnected"
    STALLED = "stalled"
    FAILED = "failed"


class SlowReader(Exception):
    """The client took nothing of the response for too long."""


@define(eq=False, kw_only=True)
class StreamingResponse(Response):
    """Lines of JSON (NDJSON) that `produce` sends, from one or several tasks.

    The stream is cancelled if the client disconnects, or takes nothing for `stall_s`. In the second case the connection
    is aborted. A broken stream has no end, so no client takes it for complete. `on_end` is called once, with how the
    stream ended. A client of HTTP/1.0 knows no chunks: its connection ends with the stream.
    """

    produce: Callable[[SendLine], Coroutine[Any, Any, None]]
    on_end: Callable[[StreamEnd], None]
    stall_s: float

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the lines to the end; raises ClientDisconnected."""
        how, write = StreamEnd.FAILED, single_write(scope)
        relay = write.relay() if write is not None and scope["http_version"] == "1.0" else None
        try:
            await until_disconnect(receive, self._stream(send if relay is None else _sending_on(relay)))
            how = StreamEnd.COMPLETE
        except ClientDisconnected:
            how = StreamEnd.DISCONNECTED
            raise
        except SlowReader:
            how = StreamEnd.STALLED
            await abort_connection(relay or write, receive)
            raise ClientDisconnected from None
        finally:
            self.on_end(how)

    async def _stream(self, send: Send) -> None:
        turn = asyncio.Lock()

        async def send_within_stall(message: dict[str, Any]) -> None:
            async with turn:
                await Budget(self.stall_s).spend(send(message), SlowReader)

        async def send_line(line: bytes) -> None:
            await send_within_stall({"type": "http.response.body", "body": line + b"\n", "more_body": True})

        headers = [*self.headers, (b"content-type", self.content_type), *_HEADERS]
        await send_within_stall({"type": "http.response.start", "status": self.status, "headers": headers})
        await self.produce(send_line)
        await send_within_stall({"type": "http.response.body", "body": b""})


def _sending_on(relay: Relay) -> Send:
    """Return what sends ASGI messages by a relay, which sends chunks only to clients that know them."""

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            status = HTTPStatus(message["status"])
            await relay.start(status, status.phrase.encode(), message["headers"], is_last=True)
        elif message.get("more_body"):
            await relay.write(message["body"])
        else:
            await relay.finish()

    return send


async def abort_connection(write: Relay | SingleWrite | None, receive: Receive) -> None:
    """Abort the connection if the server can do that, and wait until it is closed."""
    if write is None:
        return
    write.abort()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_ABORT_TIMEOUT_S):
            while (await receive())["type"] != "http.disconnect":
                pass
