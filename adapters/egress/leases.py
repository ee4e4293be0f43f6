"""The leases of the egress process: each accepts the connections of one worker while an execution runs."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from weakref import WeakValueDictionary

from attrs import Factory, define, field, frozen

from adapters.egress.connect_request import ESTABLISHED, FORBIDDEN
from adapters.egress.control import Traffic
from adapters.egress.resolution import OWNER_LOOKUPS_MAX, AddressJudge, KnownAddresses, LookupTurns, Refused
from adapters.egress.tunnel import TunnelRelay, connect, read_first_bytes, read_target
from domain.egress.endpoints import NamedEndpoint
from domain.egress.rule import PROXY_PORT, EgressRule, is_covered
from domain.egress.traffic import REFUSALS_MAX, RefusalReason

CONNECTIONS_MAX = 4096
"""Of the process at once."""
EXECUTION_CONNECTIONS_MAX = 256
"""Of one execution in all."""
LEASES_MAX = 512
HOSTS_MAX = 64
"""Of one execution in its report."""
_ACCEPTED_AT_ONCE = 16
_PAUSE_S = 0.1
"""Between two attempts to accept without a free descriptor."""
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
    """The present execution of a lease, and its connections. The `guarded` endpoints belong to the service."""

    rules: Mapping[_Target, EgressRule]
    guarded: Sequence[NamedEndpoint] = ()
    known: KnownAddresses = field(factory=KnownAddresses)
    counts: dict[_Target, HostCounts] = field(factory=dict)
    refusals: list[tuple[str, int, str]] = field(factory=list)
    connections: set[asyncio.Task[None]] = field(factory=set)
    accepted: int = 0
    sent: int = 0
    received: int = 0

    @property
    def has_patterns(self) -> bool:
        """Whether hosts are reached by the proxy."""
        return any(rule.is_pattern for rule in self.rules.values())

    def problem_of(self, asked: EgressRule) -> RefusalReason | None:
        """Return why a client of the proxy may not reach a host; None if it may."""
        if not is_covered(asked, self.rules.values()):
            return RefusalReason.NOT_ALLOWED
        is_known = (asked.name, asked.port) in self.counts
        return None if is_known or len(self.counts) < HOSTS_MAX else RefusalReason.TOO_MANY_HOSTS

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
    open_max: int = CONNECTIONS_MAX
    open: int = field(default=0, init=False)
    _lookups: "WeakValueDictionary[str, asyncio.Semaphore]" = field(factory=WeakValueDictionary, init=False)
    """By owner, as long as one of its workers is there, or one of its lookups has not ended."""

    def lookups_of(self, owner: str) -> LookupTurns:
        """Return the turns of a new worker of an owner."""
        turns = LookupTurns(self._lookups.get(owner) or asyncio.Semaphore(OWNER_LOOKUPS_MAX))
        self._lookups[owner] = turns.of_owner
        return turns


@define(eq=False)
class ProcessLease:
    """The listeners of one worker, and its present execution."""

    number: int
    listeners: Sequence[socket.socket]
    hosts: Mapping[str, str]
    shared: Connections
    connections_max: int
    lookups: LookupTurns = field(factory=LookupTurns)
    """Of all executions of the worker: lookups that hang outlast theirs."""
    execution: ConnectedExecution | None = field(default=None, init=False)
    _loop: asyncio.AbstractEventLoop = field(default=Factory(asyncio.get_running_loop), init=False)

    def __attrs_post_init__(self) -> None:
        for listener in self.listeners:
            listener.setblocking(False)
            self._listen(listener)

    def begin(self, rules: Sequence[str], guarded: Sequence[NamedEndpoint] = ()) -> None:
        """Connect an execution to the hosts of these rules, after a reset of what was opened before."""
        for listener in self.listeners:
            with contextlib.suppress(OSError):
                for connection in _accepted(listener):
                    _reset(connection)
        parsed = [EgressRule.parse(rule) for rule in rules]
        by_target = {(rule.name, rule.port): rule for rule in parsed}
        self.execution = ConnectedExecution(by_target, guarded, KnownAddresses(turns=self.lookups))

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
        try:
            for connection in _accepted(listener):
                self._take(connection)
        except OSError:  # no file descriptor is free: the listener would call again at once
            self._loop.remove_reader(listener.fileno())
            self._loop.call_later(_PAUSE_S, self._listen, listener)

    def _listen(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0:
            self._loop.add_reader(listener.fileno(), self._on_connections, listener)

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
        task = self._loop.create_task(self._serve(connection, execution, target))
        execution.connections.add(task)
        task.add_done_callback(execution.connections.discard)

    def _problem(self, execution: ConnectedExecution, target: _Target) -> RefusalReason | None:
        if target not in execution.rules and not (target[1] == PROXY_PORT and execution.has_patterns):
            return RefusalReason.NOT_ALLOWED
        if execution.accepted >= EXECUTION_CONNECTIONS_MAX:
            return RefusalReason.TOO_MANY
        if len(execution.connections) >= min(self.connections_max, self.shared.limits.connections_max):
            return RefusalReason.AT_ONCE
        return RefusalReason.BUSY if self.shared.open >= self.shared.open_max else None

    async def _serve(self, inner: socket.socket, execution: ConnectedExecution, target: _Target) -> None:
        with contextlib.ExitStack() as closing:
            closing.callback(self._forget)
            closing.callback(inner.close)
            try:
                inner.setblocking(False)
                rule = execution.rules.get(target)
                if rule is None:
                    rule = await read_target(inner)
                    target = (rule.name, rule.port)
                    if not await self._answer(inner, execution, rule):
                        return
                first, later = await read_first_bytes(inner, rule)
                judge = self.shared.judge
                addresses = await judge.addresses(rule.name, rule.port, execution.known, execution.guarded)
                outer = await connect(addresses, rule.port, self.shared.limits.connect_timeout_s)
                closing.callback(outer.close)
                counts = execution.of(target)
                counts.connections += 1
                sent, received = self._sent(execution, counts), self._received(execution, counts)
                await TunnelRelay(inner, outer, sent, received, later).run(first)
            except Refused as refused:
                execution.refuse(target, refused.reason)
                _reset(inner)

    async def _answer(self, inner: socket.socket, execution: ConnectedExecution, asked: EgressRule) -> bool:
        """Tell a client of the proxy whether it may reach the host."""
        problem = execution.problem_of(asked)
        if problem is not None:
            execution.refuse((asked.name, asked.port), problem)
        with contextlib.suppress(OSError):
            await self._loop.sock_sendall(inner, ESTABLISHED if problem is None else FORBIDDEN)
        return problem is None

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
    """Yield the connections that wait, as many as the worker's backlog holds; raises OSError without descriptors."""
    for _ in range(_ACCEPTED_AT_ONCE + 1):
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, ConnectionError):
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
