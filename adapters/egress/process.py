"""The program of the egress process: it takes orders on one socket, and ends with it."""

import asyncio
import ctypes
import os
import resource
import socket
import sys
import threading
from collections.abc import Coroutine
from ipaddress import ip_network

from attrs import define, field

from adapters.egress.control import (
    Admit,
    Begin,
    Begun,
    Close,
    Configure,
    ControlLost,
    ControlSocket,
    End,
    Order,
    Ready,
    Traffic,
    decode_order,
)
from adapters.egress.leases import CONNECTIONS_MAX, LEASES_MAX, ConnectionLimits, Connections, ProcessLease
from adapters.egress.resolution import AddressJudge
from domain.egress.policy import AddressRules

_MEMORY_MAX = 256 << 20
_FILES_OF_CONNECTION = 4
"""A connection needs two descriptors; half of all are for listeners."""
_STACK_SIZE = 256 << 10
_SET_FILTER, _MODE_FILTER, _NO_NEW_PRIVILEGES = 22, 2, 38


@define(eq=False)
class EgressServer:
    """Carries out orders, each lease's in order."""

    control: ControlSocket
    connections: Connections
    _leases: dict[int, ProcessLease] = field(factory=dict, init=False)
    _tasks: set[asyncio.Task[None]] = field(factory=set, init=False)

    def receive(self, message: bytes, descriptors: list[int]) -> None:
        """Carry out an order."""
        order = decode_order(message)
        listeners = [socket.socket(fileno=each) for each in descriptors]
        if isinstance(order, Admit):
            self._admit(order, listeners)
        else:
            self._start(self._of_lease(order))

    def _admit(self, order: Admit, listeners: list[socket.socket]) -> None:
        if len(self._leases) < LEASES_MAX:
            lookups = self.connections.lookups_of(order.owner)
            self._leases[order.lease] = ProcessLease(
                order.lease, listeners, order.hosts, self.connections, order.connections_max, lookups
            )
            return
        for each in listeners:
            each.close()

    async def _of_lease(self, order: Order) -> None:
        assert isinstance(order, Begin | End | Close)
        lease = self._leases.get(order.lease)
        if lease is None:
            if isinstance(order, End):
                await self.control.send(Traffic(order.lease, [], []))
            return
        if isinstance(order, Begin):
            lease.begin(order.rules, order.guarded)
            await self.control.send(Begun(order.lease))
        elif isinstance(order, End):
            await self.control.send(await lease.end())
        else:
            del self._leases[order.lease]
            await lease.close()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(task.exception(), ControlLost):
            self.control.close()


async def serve(connection: socket.socket) -> None:
    """Serve until the other side has ended."""
    ended = asyncio.Event()
    control = ControlSocket(connection)
    first = decode_order(connection.recv(64 * 1024))
    assert isinstance(first, Configure)
    server = EgressServer(control, connections_of(first))
    _deny_calls(first.filter)
    control.listen(server.receive, ended.set)
    await control.send(Ready())
    await ended.wait()


def connections_of(configured: Configure) -> Connections:
    """Return what all leases share."""
    rules = AddressRules(
        allowed=tuple(map(ip_network, configured.allowed)),
        denied=tuple(map(ip_network, configured.denied)),
        own_ports=frozenset(configured.own_ports),
    )
    limits = ConnectionLimits(configured.connections_max, configured.bytes_max, configured.connect_timeout_s)
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_max = min(CONNECTIONS_MAX, files // _FILES_OF_CONNECTION)
    return Connections(limits, AddressJudge(rules, configured.guarded), open_max)


def _deny_calls(instructions: bytes) -> None:
    """Add a filter of system calls for all threads that this one will start; it is for good."""
    if not instructions:
        return

    class Program(ctypes.Structure):
        _fields_ = (("size", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    libc = ctypes.CDLL(None, use_errno=True)
    program = Program(len(instructions) // 8, instructions)
    if (
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) < 0
        or libc.prctl(_SET_FILTER, _MODE_FILTER, ctypes.byref(program), 0, 0) < 0
    ):
        sys.exit("the filter of system calls cannot be added")


def main(descriptor: int) -> None:
    """Serve on this descriptor."""
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_MAX, _MEMORY_MAX))
    threading.stack_size(_STACK_SIZE)
    os.set_blocking(sys.stderr.fileno(), False)  # it is read when the process has ended
    asyncio.run(serve(socket.socket(fileno=descriptor)))
