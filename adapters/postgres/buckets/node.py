"""The connections to one node, for statements of its buckets that start together."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import Context

from attrs import define, evolve, field, frozen

from adapters.postgres.buckets.placements import Node
from adapters.postgres.connections.connection import Rows
from adapters.postgres.connections.node_connection import HeldStatement
from adapters.postgres.connections.observer import StatementObserver
from adapters.postgres.connections.statement_pool import StatementPool
from adapters.postgres.gateway_options import GatewayOptions
from domain.concurrency.background_tasks import BackgroundTasks
from domain.stats import PoolStats

SIZE = 5
"""Connections to a node: two begins, two finishes and a read. Each has the plans of the buckets there."""
_CLOSE_TIMEOUT_S = 10.0
_TOGETHER_MAX = 16
"""Statements in one message."""


@frozen
class _Waiting:
    held: HeldStatement
    until_s: float
    outcome: asyncio.Future[Rows]


@define(eq=False)
class NodeStatements:
    """Sends statements of one name that arrive in one turn of the event loop in one message, each with its own result.

    So no read waits for the commit of a write. Buckets thin batches out: each has a statement of its own. One message
    for all of them costs one wake-up here and one there, and one commit.
    """

    _pool: StatementPool
    _waiting: dict[str, list[_Waiting]] = field(factory=dict, init=False)
    _tasks: set[asyncio.Task[None]] = field(factory=set, init=False)

    async def attempt(self, held: HeldStatement, until_s: float) -> Rows:
        """Run the statement once, as StatementPool.attempt does."""
        loop, name = asyncio.get_running_loop(), held.statement.name
        waiting = _Waiting(held, until_s, loop.create_future())
        together = self._waiting.setdefault(name, [])
        together.append(waiting)
        if len(together) == 1:
            loop.call_soon(self._send, name, context=Context())
        elif len(together) == _TOGETHER_MAX:
            self._send(name)
        return await waiting.outcome

    def stats(self) -> PoolStats:
        """Return the present figures."""
        return self._pool.stats()

    async def open(self) -> None:
        """Begin to connect, and return."""
        await self._pool.open()

    async def close(self) -> None:
        """Wait for the statements in flight, within a limit, and close the connections."""
        await self._pool.close()

    def _send(self, name: str) -> None:
        waiting = self._waiting.pop(name, None)
        if waiting is not None:
            # In one order for all controllers: no two of their transactions wait for each other in different buckets.
            waiting.sort(key=lambda each: each.held.hold.shard)
            task = asyncio.get_running_loop().create_task(self._run(waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, waiting: Sequence[_Waiting]) -> None:
        outcomes: Sequence[Rows | Exception]
        try:
            outcomes = await self._pool.attempt_each(
                [each.held for each in waiting], min(each.until_s for each in waiting)
            )
        except Exception as error:  # noqa: BLE001  # it belongs to the callers
            outcomes = [error] * len(waiting)
        for each, outcome in zip(waiting, outcomes, strict=True):
            _settle(each.outcome, outcome)


def _settle(future: asyncio.Future[Rows], outcome: Rows | Exception) -> None:
    if future.done():
        return  # its caller has left
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


@define(eq=False)
class Nodes:
    """The connections to each node, made when a statement needs them."""

    _options: GatewayOptions
    _observe: StatementObserver | None = None
    _known: dict[Node, NodeStatements] = field(factory=dict, init=False)
    _leaving: BackgroundTasks = field(factory=BackgroundTasks, init=False)
    _make: Callable[..., StatementPool] = StatementPool

    async def at(self, node: Node) -> NodeStatements:
        """Return the connections to a node."""
        found = self._known.get(node)
        if found is None:
            found = self._known[node] = NodeStatements(self._pool_at(node))
            await found.open()
        return found

    def retain(self, nodes: Collection[Node]) -> None:
        """Close the connections to other nodes, once their statements have ended."""
        for node in self._known.keys() - nodes:
            self._leaving.spawn(self._known.pop(node).close())

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(each.close() for each in self._known.values()))
        await self._leaving.drain(_CLOSE_TIMEOUT_S)

    def stats(self) -> Mapping[str, PoolStats]:
        """Return the present figures, by names with the group of the node."""
        return {f"node_{node.group}": each.stats() for node, each in self._known.items()}

    def _pool_at(self, node: Node) -> StatementPool:
        dsn = node.dsn(self._options.dsn)
        pool: StatementPool

        async def leave(_: float) -> None:
            await pool.drop_idle()

        options = evolve(self._options, dsn=dsn, holds_buckets=True, log_facts={"node": node.address})
        pool = self._make("normal", SIZE, options, self._observe, leave, gathers=True)
        return pool
