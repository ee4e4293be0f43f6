"""A response whose content is read while it is sent."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from attrs import define
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from domain.concurrency.budget import Budget
from domain.errors import DomainError
from entrypoints.http.request import ClientDisconnected, until_disconnect
from entrypoints.http.response import Response, single_write
from entrypoints.http.streaming_response import SlowReader, abort_connection


@define(eq=False, kw_only=True)
class ContentResponse(Response):
    """Exactly `size` bytes: `first`, and what `rest` yields in pieces. Without `rest`, as for a HEAD, only the head.

    A client that takes nothing for `stall_s` is disconnected. If reading fails, the connection is aborted, so no client
    takes the beginning for the whole.
    """

    size: int
    stall_s: float
    first: bytes = b""
    rest: AsyncGenerator[bytes, None] | None = None

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; raises ClientDisconnected."""
        if self.rest is None:
            await self._start(send)
            await send({"type": "http.response.body", "body": b""})
            return
        async with aclosing(self.rest) as pieces:
            try:
                await until_disconnect(receive, self._stream(send, pieces))
            except (SlowReader, DomainError):
                await abort_connection(single_write(scope), receive)
                raise ClientDisconnected from None

    async def _stream(self, send: Send, pieces: AsyncGenerator[bytes, None]) -> None:
        await self._start(send)
        left = self.size - len(self.first)
        await self._send(send, self.first, more=left > 0)
        async for piece in pieces:
            left -= len(piece)
            await self._send(send, piece, more=left > 0)

    async def _start(self, send: Send) -> None:
        headers = [*self.headers, (b"content-length", b"%d" % self.size)]
        if self.content_type is not None:
            headers.append((b"content-type", self.content_type))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})

    async def _send(self, send: Send, piece: bytes, *, more: bool) -> None:
        message = {"type": "http.response.body", "body": piece, "more_body": more}
        await Budget(self.stall_s).spend(send(message), SlowReader)
