"""An answer of many lines, each sent when it is there."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from attrs import define
from starlette.types import Send
from typing_extensions import override

from entrypoints.http.disconnect import until_hang_up
from entrypoints.http.errors import ClientDisconnected
from entrypoints.http.request import Request
from entrypoints.http.response import Response

MEDIA_TYPE = "application/x-ndjson"

SendLine = Callable[[bytes], Awaitable[None]]
"""Sends one line, which has no line break inside; returns when there is room for another."""

_HEADERS = (
    (b"content-type", MEDIA_TYPE.encode()),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    # A proxy that gathers answers would give a caller nothing before the end.
    (b"x-accel-buffering", b"no"),
)
_LEAVE_TIMEOUT_S = 1.0


class SlowReader(Exception):
    """The client has taken nothing for too long."""


@define(eq=False, kw_only=True)
class StreamingResponse(Response):
    """Lines of JSON (NDJSON) as `produce` sends them, from several tasks if it likes.

    `produce` is cancelled when the client hangs up, or takes nothing for `stall_s`; then the client is hung up on. An
    answer that breaks off has no end, so that no client takes it for whole. `ended` is called at the end, whatever that is.
    """

    produce: Callable[[SendLine], Coroutine[Any, Any, None]]
    ended: Callable[[], None]
    stall_s: float

    @override
    async def send(self, request: Request, send: Send) -> None:
        """Send the lines to the end; raises ClientDisconnected."""
        try:
            await until_hang_up(request.receive, self._stream(send))
        except SlowReader:
            await _hang_up(request)
            raise ClientDisconnected from None
        finally:
            self.ended()

    async def _stream(self, send: Send) -> None:
        turn = asyncio.Lock()

        async def send_patiently(message: dict[str, Any]) -> None:
            async with turn:
                await self._patiently(send(message))

        async def send_line(line: bytes) -> None:
            await send_patiently({"type": "http.response.body", "body": line + b"\n", "more_body": True})

        headers = [*self.headers, *_HEADERS]
        await send_patiently({"type": "http.response.start", "status": self.status, "headers": headers})
        await self.produce(send_line)
        await send_patiently({"type": "http.response.body", "body": b""})

    async def _patiently(self, sending: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self.stall_s):
                await sending
        except TimeoutError:
            raise SlowReader from None


async def _hang_up(request: Request) -> None:
    """Break the connection off, where the server offers that, and wait until it is."""
    hang_up = getattr(request.whole_answer, "hang_up", None)
    if hang_up is None:
        return
    hang_up()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LEAVE_TIMEOUT_S):
            while (await request.receive())["type"] != "http.disconnect":
                pass
