"""A running child process, awaited without polling."""

import asyncio
import os
import signal
import subprocess
from abc import ABC, abstractmethod
from contextlib import suppress

from attrs import define, field

WRONG_SETTING_STATUS = 2
"""What a child ends with that has named a setting which is wrong."""


class StartFailed(Exception):
    """A part of the service did not come up; the text says what to do about it."""


class WronglySet(StartFailed):
    """A part of the service did not come up because of a setting, which it has named."""


@define(eq=False)
class Process(ABC):
    """A process in a session of its own; to be made on the event loop that waits for it."""

    popen: "subprocess.Popen[bytes]"
    _ended: "asyncio.Future[int]" = field(init=False)

    def __attrs_post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        descriptor = os.pidfd_open(self.popen.pid)
        loop.add_reader(descriptor, self._reap, descriptor)

    @abstractmethod
    async def up(self) -> None:
        """Wait until the process serves; raises StartFailed."""

    @abstractmethod
    def drain(self) -> None:
        """Ask the process to end its work and itself."""

    @abstractmethod
    def stop(self) -> None:
        """Ask the process to end at once."""

    @property
    def status(self) -> int | None:
        """The exit status (negative: the signal); None while it runs."""
        return self._ended.result() if self._ended.done() else None

    async def ended(self) -> int:
        """Wait for the end and return the exit status."""
        return await asyncio.shield(self._ended)

    async def ended_within(self, timeout_s: float) -> bool:
        """Tell whether the process ends in time."""
        done, _ = await asyncio.wait([self._ended], timeout=timeout_s)
        return bool(done)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone, if it still runs."""
        if self.status is None:
            self.popen.send_signal(number)

    def kill(self) -> None:
        """Kill the process and whatever stayed in its group."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)

    def _reap(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        self._ended.set_result(self.popen.wait())
