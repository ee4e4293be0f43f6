"""A room: a sandbox with a keeper in it, which starts workers in sandboxes of their own."""

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
from adapters.sandbox.zygote.launch import (
    DescriptorEnds,
    Exit,
    Launched,
    LaunchFailed,
    ZygoteLost,
    kill,
    pid_of,
    pipe,
    start_room,
)
from adapters.sandbox.zygote.sandbox_spec import SandboxSpec

_MESSAGE_SIZE_MAX = 65_536
_LAST_WORDS_MAX = 4096
_KILLED = -9


@define
class _Order:
    ends: DescriptorEnds
    launched: "asyncio.Future[Launched]"


@define(eq=False)
class Zygote:
    """One keeper and its workers; all of them end with it. Belongs to one event loop."""

    ready: "asyncio.Future[None]"
    """Done when workers can be started; LaunchFailed, with what was said, when the room has ended before that."""
    gone: "asyncio.Future[None]"
    """Done when its launcher has left the process table."""
    started: int = field(default=0, init=False)
    keeper_pid: int | None = field(default=None, init=False)
    _outer: "subprocess.Popen[bytes]"
    _outer_fd: int
    _control: socket.socket
    _stderr: int
    _keeper_fd: int = field(default=-1, init=False)
    _is_retired: bool = field(default=False, init=False)
    _orders: dict[int, _Order] = field(factory=dict, init=False)
    _workers: dict[int, Launched] = field(factory=dict, init=False)
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop, init=False)

    @classmethod
    def open(cls, blueprint: SandboxSpec, group: ControlGroup | None) -> "Zygote":
        """Begin to build a room; raises OSError. See `start_room` for the thread to do it from."""
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            control, their_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.callback(control.close)
            theirs.callback(their_control.close)
            stderr, their_stderr = pipe(ours, theirs)
            outer = start_room(blueprint, their_control.fileno(), their_stderr, group)
            control.setblocking(False)
            os.set_blocking(stderr, False)
            control.send(json.dumps(blueprint.setup()).encode())
            room = cls(loop.create_future(), loop.create_future(), outer, os.pidfd_open(outer.pid), control, stderr)
            ours.pop_all()
        loop.add_reader(room._outer_fd, room._on_exit)
        loop.add_reader(control.fileno(), room._on_message)
        return room

    @property
    def is_usable(self) -> bool:
        """Whether workers may be started here, now or once it is ready."""
        return not self._is_retired and not self.gone.done()

    @property
    def is_lost(self) -> bool:
        """Whether it has ended after workers could be started in it."""
        return self.gone.done() and self.keeper_pid is not None

    async def start(self, order: Mapping[str, object]) -> Launched:
        """Start a worker by this order; raises LaunchFailed, ZygoteLost among them."""
        await asyncio.shield(self.ready)
        if self.gone.done():
            raise ZygoteLost("the room has ended")
        try:
            launched = self._order(order)
        except ConnectionError as error:
            # The keeper has ended, before its end was told.
            self.close()
            raise ZygoteLost(f"the keeper takes no orders: {error}") from error
        except OSError as error:
            raise LaunchFailed(f"a worker cannot be ordered: {error}") from error
        try:
            return await launched
        except asyncio.CancelledError:
            if not launched.cancelled() and launched.exception() is None:
                # Started in the very moment in which the wait ended.
                _discard(launched.result())
            self._end_if_unneeded()
            raise

    def _order(self, order: Mapping[str, object]) -> "asyncio.Future[Launched]":
        self.started += 1
        number, ends = self.started, DescriptorEnds.make()
        launched: asyncio.Future[Launched] = self._loop.create_future()
        self._orders[number] = _Order(ends, launched)
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
        # An order that nobody waits for any more does not keep it: a keeper that is stuck would never answer it.
        is_needed = self._workers or not all(order.launched.done() for order in self._orders.values())
        if self._is_retired and not is_needed:
            self.close()

    def close(self) -> None:
        """End it, and all its workers."""
        self._is_retired = True
        # The keeper, whose launchers then collect it and end: these alone would leave zombies for the system's first
        # process to collect.
        kill(self._outer_fd if self._keeper_fd < 0 else self._keeper_fd)

    # What the keeper says.

    def _on_message(self) -> None:
        try:
            message, descriptors, _, _ = socket.recv_fds(self._control, _MESSAGE_SIZE_MAX, 1)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            message, descriptors = b"", []
        if message:
            self._take(json.loads(message), descriptors)
        else:
            self._loop.remove_reader(self._control.fileno())
            self.close()

    def _take(self, told: dict[str, Any], descriptors: list[int]) -> None:
        if "status" in told:
            self._ended(told["id"], Exit(told["status"], told["memory_bytes"]))
        elif "failed" in told:
            self._drop(told["id"], LaunchFailed(told["failed"]))
            self._end_if_unneeded()
        else:
            self._take_in(told, descriptors)

    def _take_in(self, told: dict[str, Any], descriptors: list[int]) -> None:
        """Hold on to a process that has been started."""
        try:
            (pid_fd,) = descriptors
            os.set_inheritable(pid_fd, False)
            pid = pid_of(pid_fd)
        except (ValueError, OSError):
            self._cannot_hold(told, descriptors)
            return
        if "ready" in told:
            self._become_ready(pid_fd, pid)
        else:
            self._began(told["id"], pid_fd, pid)

    def _cannot_hold(self, told: dict[str, Any], descriptors: list[int]) -> None:
        """Give up what this process has no descriptor left for; a worker ends when its channel is closed."""
        for descriptor in descriptors:
            os.close(descriptor)
        if "ready" in told:
            self.close()
        else:
            self._drop(told["id"], LaunchFailed("the service has no descriptors left"))

    def _become_ready(self, keeper_fd: int, keeper_pid: int | None) -> None:
        self._keeper_fd, self.keeper_pid = keeper_fd, keeper_pid
        if self._is_retired:
            self.close()
        if not self.ready.done():
            self.ready.set_result(None)

    def _began(self, number: int, pid_fd: int, pid: int | None) -> None:
        order = self._orders.pop(number)
        self._workers[number] = launched = order.ends.launched(pid_fd, pid)
        if order.launched.cancelled():
            _discard(launched)
        else:
            order.launched.set_result(launched)

    def _ended(self, number: int, end: Exit) -> None:
        launched = self._workers.pop(number, None)
        if launched is not None:
            launched.exited.set_result(end)
        self._end_if_unneeded()

    def _drop(self, number: int, error: LaunchFailed | None = None) -> None:
        order = self._orders.pop(number)
        order.ends.close()
        if error is not None and not order.launched.done():
            order.launched.set_exception(error)

    # Its end.

    def _on_exit(self) -> None:
        status = self._outer.poll()
        if status is None:
            return
        self._loop.remove_reader(self._outer_fd)
        self._loop.remove_reader(self._control.fileno())
        kind = LaunchFailed if self.keeper_pid is None else ZygoteLost
        error = kind(self._last_words() or f"the launcher ended with status {status}")
        if not self.ready.done():
            self.ready.set_exception(error)
            self.ready.exception()  # whether anybody waits for it or not
        for number in list(self._orders):
            self._drop(number, error)
        for number, launched in list(self._workers.items()):
            launched.kill()
            self._loop.add_reader(launched.pid_fd, self._on_orphan, number)
        self._control.close()
        for descriptor in (self._outer_fd, self._stderr, self._keeper_fd):
            if descriptor >= 0:
                os.close(descriptor)
        self._outer_fd = self._stderr = self._keeper_fd = -1
        self.gone.set_result(None)

    def _on_orphan(self, number: int) -> None:
        launched = self._workers.pop(number)
        self._loop.remove_reader(launched.pid_fd)
        launched.exited.set_result(Exit(_KILLED))

    def _last_words(self) -> str:
        with contextlib.suppress(BlockingIOError):
            return os.read(self._stderr, _LAST_WORDS_MAX).decode("utf-8", "replace").strip()
        return ""


def _discard(launched: Launched) -> None:
    launched.kill()
    launched.exited.add_done_callback(lambda _: launched.close())
