"""The leases of the egress process: each accepts the connections of one worker while an execution runs."""

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from attrs import Factory, define, field, frozen

from adapters.egress.control import Traffic
from adapters.egress.resolution import AddressJudge, KnownAddresses, Refused
from adapters.egress.tunnel import TunnelRelay, connect, read_first_bytes
from domain.egress.rule import EgressRule
from domain.egress.traffic import REFUSALS_MAX, RefusalReason

CONNECTIONS_MAX = 4096
"""Of the process at once."""
EXECUTION_CONNECTIONS_MAX = 256
"""Of one execution in all."""
LEASES_MAX = 512
_ACCEPTED_AT_ONCE = 16
_RESET = struct.pack("ii", 1, 0)

_Target = tuple[str, int]


@frozen
class ConnectionLimits:
    """Limits of one execution."""

    connections_max: int
    bytes_max: int
    connect_timeout_s: float


@define(eq=False)
class HostCounts:
    """What an execution used of one host."""

    connections: int = 0
    sent: int = 0
    received: int = 0
    refused: int = 0


@define(eq=False)
class ConnectedExecution:
    """The present execution of a lease, and its connections."""

    rules: Mapping[_Target, EgressRule]
    known: KnownAddresses = field(factory=KnownAddresses)
    counts: dict[_Target, HostCounts] = field(factory=dict)
    refusals: list[tuple[str, int, str]] = field(factory=list)
    connections: set[asyncio.Task[None]] = field(factory=set)
    accepted: int = 0
    sent: int = 0
    received: int = 0

    def of(self, target: _Target) -> HostCounts:
        """Return the counts of a host."""
        return self.counts.setdefault(target, HostCounts())

    def refuse(self, target: _Target, reason: RefusalReason) -> None:
        """Count a refusal, and report it unless there were many."""
        if target in self.counts or len(self.counts) < REFUSALS_MAX:
            self.of(target).refused += 1
        if len(self.refusals) < REFUSALS_MAX:
            self.refusals.append((*target, reason.value))

    def traffic(self, lease: int) -> Traffic:
        """Return what was used."""
        hosts = [
            (*target, each.connections, each.sent, each.received, each.refused) for target, each in self.counts.items()
        ]
        return Traffic(lease, hosts, self.refusals)


@define(eq=False)
class Connections:
    """What all leases of the process share: their limits, the judge, and the number of open connections."""

    limits: ConnectionLimits
    judge: AddressJudge
    open: int = field(default=0, init=False)
    refused: Counter[str] = field(factory=Counter, init=False)


@define(eq=False)
class ProcessLease:
    """The listeners of one worker, and its present execution."""

    number: int
    listeners: Sequence[socket.socket]
    hosts: Mapping[str, str]
    shared: Connections
    connections_max: int
    execution: ConnectedExecution | None = field(default=None, init=False)
    _loop: asyncio.AbstractEventLoop = field(default=Factory(asyncio.get_running_loop), init=False)

    def __attrs_post_init__(self) -> None:
        for listener in self.listeners:
            listener.setblocking(False)
            self._loop.add_reader(listener.fileno(), self._on_connections, listener)

    def begin(self, rules: Sequence[str]) -> None:
        """Connect an execution to the hosts of these rules, after a reset of what was opened before."""
        for listener in self.listeners:
            for connection in _accepted(listener):
                _reset(connection)
        parsed = [EgressRule.parse(rule) for rule in rules]
        self.execution = ConnectedExecution({(rule.name, rule.port): rule for rule in parsed})

    async def end(self) -> Traffic:
        """End the execution with its connections; return what they used."""
        execution, self.execution = self.execution, None
        if execution is None:
            return Traffic(self.number, [], [])
        await _end_all(execution.connections)
        return execution.traffic(self.number)

    async def close(self) -> None:
        """End everything of the lease."""
        for listener in self.listeners:
            self._loop.remove_reader(listener.fileno())
            listener.close()
        await self.end()

    def _on_connections(self, listener: socket.socket) -> None:
        for connection in _accepted(listener):
            self._take(connection)

    def _take(self, connection: socket.socket) -> None:
        execution = self.execution
        if execution is None:
            _reset(connection)
            return
        try:
            address, port = connection.getsockname()
        except OSError:
            connection.close()
            return
        target = (self.hosts.get(address, address), port)
        reason = self._problem(execution, target)
        if reason is not None:
            execution.refuse(target, reason)
            _reset(connection)
            return
        execution.accepted += 1
        self.shared.open += 1
        task = self._loop.create_task(self._serve(connection, execution, execution.rules[target]))
        execution.connections.add(task)
        task.add_done_callback(execution.connections.discard)

    def _problem(self, execution: ConnectedExecution, target: _Target) -> RefusalReason | None:
        if target not in execution.rules:
            return RefusalReason.NOT_ALLOWED
        if execution.accepted >= EXECUTION_CONNECTIONS_MAX:
            return RefusalReason.TOO_MANY
        if len(execution.connections) >= min(self.connections_max, self.shared.limits.connections_max):
            return RefusalReason.AT_ONCE
        return RefusalReason.BUSY if self.shared.open >= CONNECTIONS_MAX else None

    async def _serve(self, inner: socket.socket, execution: ConnectedExecution, rule: EgressRule) -> None:
        target = (rule.name, rule.port)
        with contextlib.ExitStack() as closing:
            closing.callback(self._forget)
            closing.callback(inner.close)
            try:
                inner.setblocking(False)
                first = await read_first_bytes(inner, rule)
                addresses = await self.shared.judge.addresses(rule.name, rule.port, execution.known)
                outer = await connect(addresses, rule.port, self.shared.limits.connect_timeout_s)
                closing.callback(outer.close)
                counts = execution.of(target)
                counts.connections += 1
                await TunnelRelay(inner, outer, self._sent(execution, counts), self._received(execution, counts)).run(
                    first
                )
            except Refused as refused:
                execution.refuse(target, refused.reason)
                _reset(inner)

    def _forget(self) -> None:
        self.shared.open -= 1

    def _sent(self, execution: ConnectedExecution, counts: HostCounts) -> "_WayCount":
        return _WayCount(execution, counts, self.shared.limits.bytes_max, is_sent=True)

    def _received(self, execution: ConnectedExecution, counts: HostCounts) -> "_WayCount":
        return _WayCount(execution, counts, self.shared.limits.bytes_max, is_sent=False)


@define(eq=False)
class _WayCount:
    """HostCounts bytes of one way; returns whether they may be passed on."""

    execution: ConnectedExecution
    counts: HostCounts
    bytes_max: int
    is_sent: bool = field(kw_only=True)

    def __call__(self, size: int) -> bool:
        execution, counts = self.execution, self.counts
        if self.is_sent:
            if execution.sent + size > self.bytes_max:
                return False
            execution.sent += size
            counts.sent += size
            return True
        if execution.received + size > self.bytes_max:
            return False
        execution.received += size
        counts.received += size
        return True


def _accepted(listener: socket.socket) -> Iterator[socket.socket]:
    """Yield the connections that wait, as many as the worker's backlog holds."""
    for _ in range(_ACCEPTED_AT_ONCE + 1):
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        yield connection


def _reset(connection: socket.socket) -> None:
    """Close a connection so that its peer learns at once that nothing is there."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.close()


async def _end_all(tasks: set[asyncio.Task[None]]) -> None:
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
