"""One connection to the origin: a request and its reply at a time, streamed both ways."""

import asyncio
import contextlib
import os

from typing_extensions import override

from adapters.origin.reply import MalformedReply, ReceivedReply

BUFFERED_MAX = 256 * 1024
"""Bytes of a reply that wait for their reader before the connection reads no more."""


class ConnectionBroken(Exception):
    """The connection ended before the reply was complete, or the reply is malformed."""


class OriginConnection(asyncio.Protocol):
    """Sends requests, and holds what has arrived of the reply; one task waits at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reply: ReceivedReply | None = None
        self._broken: Exception | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._draining: asyncio.Future[None] | None = None
        self._is_paused = False
        self.idle_until = 0.0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # of a stream

    @override
    def data_received(self, data: bytes) -> None:
        reply = self._reply
        if reply is None:
            self._transport.abort()
            return
        try:
            reply.feed(data)
        except MalformedReply as error:
            self._break(error)
            self._transport.abort()
            return
        if reply.buffered > BUFFERED_MAX and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self.wake()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._reply is not None:
            if exc is not None:
                self._read_rest(self._reply)
            if not self._reply.is_complete and (exc is not None or not self._reply.end()):
                self._break(exc or ConnectionResetError("it closed the connection"))
        self.wake()
        if self._draining is not None and not self._draining.done():
            self._draining.set_result(None)

    @override
    def pause_writing(self) -> None:
        self._draining = self._loop.create_future()

    @override
    def resume_writing(self) -> None:
        if self._draining is not None and not self._draining.done():
            self._draining.set_result(None)
        self._draining = None

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent."""
        return not self._transport.is_closing()

    def begin(self, reply: ReceivedReply, sent: bytes) -> None:
        """Send the head of a request, with its body if that is known; what arrives from now on is the reply."""
        self._reply = reply
        self._transport.write(sent)

    async def write(self, sent: bytes) -> None:
        """Send a part of the body, and wait until the buffer has room; does nothing on a closed connection."""
        if self.is_open:
            self._transport.write(sent)
            if self._draining is not None:
                await self._draining

    async def progress(self) -> None:
        """Wait until more of the reply has arrived; raises ConnectionBroken if no more will."""
        if self._broken is not None:
            raise ConnectionBroken(_summary(self._broken)) from self._broken
        self._resume()
        self._waiting = self._loop.create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None
        if self._broken is not None:
            raise ConnectionBroken(_summary(self._broken)) from self._broken

    def wake(self) -> None:
        """End the wait for progress, if a task waits."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def finish(self) -> bool:
        """End the reply; return whether the connection can be used again."""
        reply, self._reply = self._reply, None
        self._resume()
        return reply is not None and reply.is_reusable and self.is_open

    def abort(self) -> None:
        """Close the connection at once."""
        self._reply = None
        self._transport.abort()

    def _read_rest(self, reply: ReceivedReply) -> None:
        """Take what arrived before a reset.

        A server that refuses a body replies and closes without reading it. Its kernel then sends a reset, at which the
        event loop closes the connection without looking for the reply.
        """
        if self._transport.get_extra_info("ssl_object") is None:
            descriptor = self._transport.get_extra_info("socket").fileno()
            with contextlib.suppress(OSError, MalformedReply):
                while received := os.read(descriptor, BUFFERED_MAX):
                    reply.feed(received)

    def _resume(self) -> None:
        if self._is_paused and self.is_open:
            self._is_paused = False
            self._transport.resume_reading()

    def _break(self, error: Exception) -> None:
        self._broken = self._broken or error


def _summary(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
