"""Starts workers: for each order it forks a process, which isolates itself and becomes a worker.

The zygote never runs a script. A worker continues as an interpreter that has just started, or executes another program.
"""

# ruff: noqa: S606  # the order names the program

from __future__ import annotations

import gc
import json
import os
import select
import socket
import sys

from .isolation import CHANNEL, NEW_NETWORK, NEW_PROCESSES, PRIVATE, RECURSIVE, call, isolate

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    import types
    from typing import Any

MESSAGE_SIZE_MAX = 65_536
FREE_NETWORKS_MAX = 64
KILL = 9


def main(descriptor: int) -> None:
    """Take orders from the descriptor; in a new worker, run its program. Does not return."""
    # No frame below a script refers to the zygote's list of workers.
    new_worker(socket.socket(fileno=descriptor)).main(CHANNEL)


def new_worker(control: socket.socket) -> types.ModuleType:
    """Return the program of a new worker, in that worker only."""
    control.set_inheritable(False)
    setup = json.loads(control.recv(MESSAGE_SIZE_MAX))
    program, cost = prepared(setup) if setup["forks"] else (None, {})
    forget_own_modules()
    # No mount of the host reaches the sandbox later, and none of a worker leaves it.
    call("mount", None, b"/", None, RECURSIVE | PRIVATE, None)
    server = ForkServer(control)
    # Every worker shares the memory of these objects, as long as no garbage collection writes to them.
    gc.collect()
    gc.freeze()
    server.report({"ready": True, **cost}, server.own_fd)
    order, descriptors = server.serve()
    # `isolate` closes the descriptor, and a new file may get its number.
    control.detach()
    sys.modules["__main__"] = program = become(program, setup, order, descriptors)
    return program


def prepared(setup: dict[str, Any]) -> tuple[types.ModuleType, dict[str, Any]]:
    """Return the program of workers, and with packages what their preload took."""
    from . import worker  # noqa: PLC0415  # zygotes of other languages stay small, and fork faster

    worker.prepare()
    if "equipped" in setup:
        worker.prepare_equipped()
    if "files" in setup:
        worker.part("files")
    if "preload" not in setup:
        return worker, {}
    return worker, {"preload": worker.prepare_packages(setup["preload"], setup["variables"])}


def forget_own_modules() -> None:
    """Remove the guest's modules from the interpreter's list, so that scripts cannot import them."""
    package = __name__.rpartition(".")[0]
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]


def become(
    program: types.ModuleType | None, setup: dict[str, Any], order: dict[str, Any], descriptors: list[int]
) -> types.ModuleType:
    """Isolate this process, and return its program; without one, execute the command of the order."""
    try:
        isolate(setup, order, descriptors)
        if program is None:
            os.execve(order["command"][0], order["command"], order.get("variables", {}))
    except BaseException as error:  # noqa: BLE001  # after any error this process is not safely isolated
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(1)
    return program


class NetworkPool:
    """Network namespaces for workers: each is in use by one living worker at most.

    They belong to the zygote's user namespace, so no worker has a right over the one that it is in. Nothing that a
    worker may make there outlives it: sockets end with their process.
    """

    def __init__(self) -> None:
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.free: list[int] = []

    def take(self) -> int:
        """Return the descriptor of a namespace that no process is in; raises OSError."""
        return self.free.pop() if self.free else self.make()

    def make(self) -> int:
        call("unshare", NEW_NETWORK)
        try:
            return os.open("/proc/self/ns/net", os.O_RDONLY)
        finally:
            call("setns", self.home, NEW_NETWORK)

    def put(self, network: int | None) -> None:
        """Take back the namespace of a worker that has left the process table."""
        if network is not None and len(self.free) < FREE_NETWORKS_MAX:
            self.free.append(network)
        else:
            self.drop(network)

    def drop(self, network: int | None) -> None:
        """Give up a namespace, in which a process may still be."""
        if network is not None:
            os.close(network)


class ForkServer:
    """Forks a worker for each order, and reports its start and its end."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.own_fd = os.pidfd_open(os.getpid())
        self.networks = NetworkPool()
        self.workers: dict[int, tuple[int, int, int | None]] = {}
        self.poll = select.poll()
        self.poll.register(control, select.POLLIN)

    def serve(self) -> tuple[dict[str, Any], list[int]]:
        """Return the order and the descriptors of a new worker, in that worker only."""
        while True:
            for descriptor, _ in self.poll.poll():
                if descriptor != self.control.fileno():
                    self.collect(descriptor)
                elif (order := self.take_order()) is not None:
                    return order

    def report(self, message: dict[str, Any], *descriptors: int) -> None:
        """Send a message to the service; if the service has ended, end this process too."""
        try:
            socket.send_fds(self.control, [json.dumps(message).encode()], descriptors)
        except ConnectionError:
            os._exit(0)

    def take_order(self) -> tuple[dict[str, Any], list[int]] | None:
        message, descriptors, _, _ = socket.recv_fds(self.control, MESSAGE_SIZE_MAX, 3)
        if not message:
            os._exit(0)  # the service has ended; all workers end with this process
        order, network = json.loads(message), None
        try:
            # A worker that may use a network gets a namespace that no other worker was in, or will be in.
            order["network"] = network = None if order.get("own_network") else self.networks.take()
            pid = self.fork()
            if pid == 0:
                return order, descriptors
            self.watch(order["id"], pid, network)
        except OSError as error:
            self.networks.drop(network)
            self.report({"id": order["id"], "failed": str(error)})
        for descriptor in descriptors:
            os.close(descriptor)
        return None

    def fork(self) -> int:
        """Fork a process that is the first of its own process namespace."""
        call("unshare", NEW_PROCESSES)
        pid = -1
        try:
            pid = os.fork()
        finally:
            if pid != 0:
                call("setns", self.own_fd, NEW_PROCESSES)
        return pid

    def watch(self, number: int, pid: int, network: int | None) -> None:
        """Report the start of a worker. If that fails, end the worker and raise OSError."""
        worker_fd = -1
        try:
            worker_fd = os.pidfd_open(pid)
            self.report({"id": number}, worker_fd)
        except OSError:
            os.kill(pid, KILL)
            os.waitpid(pid, 0)
            if worker_fd >= 0:
                os.close(worker_fd)
            raise
        self.workers[worker_fd] = (number, pid, network)
        self.poll.register(worker_fd, select.POLLIN)

    def collect(self, worker_fd: int) -> None:
        """Report the end of a worker."""
        number, pid, network = self.workers.pop(worker_fd)
        self.poll.unregister(worker_fd)
        os.close(worker_fd)
        _, status, used = os.wait4(pid, 0)
        self.networks.put(network)
        peak = used.ru_maxrss * 1024
        self.report({"id": number, "status": os.waitstatus_to_exitcode(status), "memory_bytes": peak})
