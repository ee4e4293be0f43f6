"""Hanging up on clients that do not read what they have asked for."""

import asyncio

from attrs import frozen


@frozen
class WriteLimits:
    """What a client has to read: at least `rate_min` bytes a second, judged over `span_s` seconds at a time."""

    span_s: float = 20.0
    rate_min: int = 4096


class WriteWatch:
    """Looks now and then how much of what was written is still to be sent, while there is a reason to."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, limits: WriteLimits) -> None:
        self._loop = loop
        self._transport = transport
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look from now on, if anything is to be sent, until it is sent or `stop` is called."""
        left = self._transport.get_write_buffer_size()
        if self._timer is None and left:
            self._timer = self._loop.call_later(self._limits.span_s, self._look, left)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, before: int) -> None:
        self._timer = None
        left = self._transport.get_write_buffer_size()
        if left and before - left < self._limits.rate_min * self._limits.span_s:
            self._transport.abort()
        else:
            self.start()
