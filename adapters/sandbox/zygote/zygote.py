"""A zygote: the locked process in a sandbox that forks into a worker for each order."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Mapping
from typing import Any

from attrs import define, field

from adapters.sandbox.isolation.control_group import ControlGroup
from adapters.sandbox.snapshot import ZygoteSnapshot
from adapters.sandbox.zygote.launch import (
    DescriptorEnds,
    Exit,
    Launched,
    LaunchFailed,
    PreloadFailed,
    WorkerOrder,
    ZygoteLost,
    kill,
    pid_of,
    pipe,
    start_zygote,
)
from adapters.sandbox.zygote.preload import PreloadCost, cost_in
from adapters.sandbox.zygote.sandbox_spec import SandboxSpec

_MESSAGE_SIZE_MAX = 65_536
_LAST_WORDS_MAX = 4096
_KILLED = -9


@define(eq=False)
class Zygote:
    """One zygote and its workers, which all end with it. Belongs to one event loop."""

    ready: "asyncio.Future[None]"
    """Done when it can start workers. If it ends before that, LaunchFailed with the launcher's message."""
    gone: "asyncio.Future[None]"
    """Done when its launcher has left the process table."""
    started: int = field(default=0, init=False)
    pid: int | None = field(default=None, init=False)
    cost: PreloadCost | None = field(default=None, init=False)
    """Of its packages; None while it is not ready, and of workers without packages."""
    is_checked: bool = field(default=False, init=False)
    """Whether its first fork has passed its check, of an interpreter that needs one."""
    _launcher: "subprocess.Popen[bytes]"
    _launcher_fd: int
    _control: socket.socket
    _stderr: int
    _preload_s: float | None = None
    """The limit of its imports; None if it makes none."""
    _preload_timer: asyncio.TimerHandle | None = field(default=None, init=False)
    _is_late: bool = field(default=False, init=False)
    _pid_fd: int = field(default=-1, init=False)
    _is_retired: bool = field(default=False, init=False)
    _orders: dict[int, WorkerOrder] = field(factory=dict, init=False)
    _workers: dict[int, Launched] = field(factory=dict, init=False)
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop, init=False)

    @classmethod
    def open(cls, spec: SandboxSpec, group: ControlGroup | None) -> "Zygote":
        """Start a zygote; raises OSError. `start_zygote` says which thread may call this."""
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            control, their_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.callback(control.close)
            theirs.callback(their_control.close)
            stderr, their_stderr = pipe(ours, theirs)
            launcher = start_zygote(spec, their_control.fileno(), their_stderr, group)
            control.setblocking(False)
            os.set_blocking(stderr, False)
            control.send(json.dumps(spec.setup()).encode())
            launcher_fd = os.pidfd_open(launcher.pid)
            ready, gone, preload_s = loop.create_future(), loop.create_future(), spec.preload_s
            zygote = cls(ready, gone, launcher, launcher_fd, control, stderr, preload_s)
            ours.pop_all()
        loop.add_reader(launcher_fd, zygote._on_exit)
        loop.add_reader(control.fileno(), zygote._on_message)
        if preload_s is not None:
            zygote._preload_timer = loop.call_later(preload_s, zygote._on_late)
        return zygote

    @property
    def is_usable(self) -> bool:
        """Whether it accepts orders, now or when it is ready."""
        return not self._is_retired and not self.gone.done()

    @property
    def is_lost(self) -> bool:
        """Whether it has ended after it was ready."""
        return self.gone.done() and self.pid is not None

    def debug_snapshot(self) -> ZygoteSnapshot:
        """Return its present state."""
        return ZygoteSnapshot(self.pid, self._launcher.pid, self.started, len(self._workers), len(self._orders))

    async def start(self, order: Mapping[str, object]) -> Launched:
        """Start a worker by this order; raises LaunchFailed, or its subclass ZygoteLost."""
        await asyncio.shield(self.ready)
        if self.gone.done():
            raise ZygoteLost("the zygote has ended")
        try:
            launched = self._order(order)
        except ConnectionError as error:
            # The zygote has ended, and the event loop has not noticed yet.
            self.close()
            raise ZygoteLost(f"the zygote cannot be reached: {error}") from error
        except OSError as error:
            raise LaunchFailed(f"a start cannot be ordered from the zygote: {error}") from error
        try:
            return await launched
        except asyncio.CancelledError:
            if not launched.cancelled() and launched.exception() is None:
                # The start and the cancellation came in the same turn of the loop.
                launched.result().discard()
            self._end_if_unneeded()
            raise

    def _order(self, order: Mapping[str, object]) -> "asyncio.Future[Launched]":
        self.started += 1
        number, ends = self.started, DescriptorEnds.make()
        launched: asyncio.Future[Launched] = self._loop.create_future()
        self._orders[number] = WorkerOrder(ends, launched)
        try:
            socket.send_fds(self._control, [json.dumps({"id": number, **order}).encode()], ends.theirs)
        except OSError:
            self._drop(number)
            raise
        finally:
            ends.close_theirs()
        return launched

    def retire(self) -> None:
        """Start no more workers, and end with the last of them."""
        self._is_retired = True
        self._end_if_unneeded()

    def _end_if_unneeded(self) -> None:
        # A cancelled order does not count: a stuck zygote would never respond to it.
        is_needed = self._workers or not all(order.launched.done() for order in self._orders.values())
        if self._is_retired and not is_needed:
            self.close()

    def close(self) -> None:
        """Kill it, and all its workers."""
        self._is_retired = True
        # Its launchers then collect the zygote and end. Killed launchers would leave zombies to the system's init.
        kill(self._launcher_fd if self._pid_fd < 0 else self._pid_fd)

    # Messages from the zygote.

    def _on_message(self) -> None:
        try:
            message, descriptors, _, _ = socket.recv_fds(self._control, _MESSAGE_SIZE_MAX, 1)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            message, descriptors = b"", []
        if message:
            self._receive(json.loads(message), descriptors)
        else:
            self._loop.remove_reader(self._control.fileno())
            self.close()

    def _receive(self, message: dict[str, Any], descriptors: list[int]) -> None:
        if "status" in message:
            self._on_worker_exit(message["id"], Exit(message["status"], message["memory_bytes"]))
        elif "failed" in message:
            self._drop(message["id"], LaunchFailed(message["failed"]))
            self._end_if_unneeded()
        else:
            self._on_process(message, descriptors)

    def _on_process(self, message: dict[str, Any], descriptors: list[int]) -> None:
        """Take over the process descriptor of a worker, or of the zygote itself."""
        try:
            (pid_fd,) = descriptors
            os.set_inheritable(pid_fd, False)
            pid = pid_of(pid_fd)
        except (ValueError, OSError):
            self._on_lost_descriptor(message, descriptors)
            return
        if "ready" in message:
            self.cost = cost_in(message)
            self._on_ready(pid_fd, pid)
        else:
            self._on_worker(message["id"], pid_fd, pid)

    def _on_lost_descriptor(self, message: dict[str, Any], descriptors: list[int]) -> None:
        """Drop a process for which the service has no descriptor left; a worker ends when its channel is closed."""
        for descriptor in descriptors:
            os.close(descriptor)
        if "ready" in message:
            self.close()
        else:
            reason = "the service has no file descriptors left. Raise its limit of open files."
            self._drop(message["id"], LaunchFailed(reason))

    def _on_ready(self, pid_fd: int, pid: int | None) -> None:
        self._pid_fd, self.pid = pid_fd, pid
        self._stop_timer()
        if self._is_retired:
            self.close()
        if not self.ready.done():
            self.ready.set_result(None)

    def _on_worker(self, number: int, pid_fd: int, pid: int | None) -> None:
        order = self._orders.pop(number)
        self._workers[number] = launched = order.ends.launched(pid_fd, pid)
        if order.launched.cancelled():
            launched.discard()
        else:
            order.launched.set_result(launched)

    def _on_worker_exit(self, number: int, end: Exit) -> None:
        launched = self._workers.pop(number, None)
        if launched is not None:
            launched.exited.set_result(end)
        self._end_if_unneeded()

    def _drop(self, number: int, error: LaunchFailed | None = None) -> None:
        order = self._orders.pop(number)
        order.ends.close()
        if error is not None and not order.launched.done():
            order.launched.set_exception(error)

    # The end of the launcher.

    def _on_exit(self) -> None:
        status = self._launcher.poll()
        if status is None:
            return
        self._loop.remove_reader(self._launcher_fd)
        self._loop.remove_reader(self._control.fileno())
        self._stop_timer()
        error = self._error(self._last_words() or f"the launcher ended with status {status}")
        if not self.ready.done():
            self.ready.set_exception(error)
            self.ready.exception()  # marks it as retrieved, as perhaps no call waits for it
        for number in list(self._orders):
            self._drop(number, error)
        for number, launched in list(self._workers.items()):
            launched.kill()
            self._loop.add_reader(launched.pid_fd, self._on_orphan_exit, number)
        self._control.close()
        for descriptor in (self._launcher_fd, self._stderr, self._pid_fd):
            if descriptor >= 0:
                os.close(descriptor)
        self._launcher_fd = self._stderr = self._pid_fd = -1
        self.gone.set_result(None)

    def _error(self, words: str) -> LaunchFailed:
        if self.pid is not None:
            return ZygoteLost(words)
        if self._preload_s is None:
            return LaunchFailed(words)
        return PreloadFailed(f"{words} (the limit of a preload is {self._preload_s:g} s)" if self._is_late else words)

    def _on_late(self) -> None:
        self._is_late = True
        self.close()

    def _stop_timer(self) -> None:
        if self._preload_timer is not None:
            self._preload_timer.cancel()

    def _on_orphan_exit(self, number: int) -> None:
        launched = self._workers.pop(number)
        self._loop.remove_reader(launched.pid_fd)
        launched.exited.set_result(Exit(_KILLED))

    def _last_words(self) -> str:
        with contextlib.suppress(BlockingIOError):
            return os.read(self._stderr, _LAST_WORDS_MAX).decode("utf-8", "replace").strip()
        return ""
