"""The nodes of a distributed database, each behind a proxy of its own, and what they have stored."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import psycopg
from attrs import define

from tests.citus.cluster import Cluster
from tests.faults.history import Stored
from tests.faults.proxy import Mode, Proxy

_STORED = """
SELECT request_id::text, execution_count, closed_at IS NOT NULL, context::jsonb -> 'mark'
FROM {}.sessions WHERE closed_at IS NOT NULL OR context::jsonb ? 'mark'
"""
_COUNTED = "SELECT execution_id::text FROM {}.executions WHERE execution_count IS NOT NULL"
_MADE = "SELECT metadata::jsonb -> 'n' FROM {}.sessions WHERE metadata::jsonb ? 'n'"
_PLACES = """
SELECT b.number, d.nodeport
FROM meta.buckets AS b
INNER JOIN pg_dist_shard AS s ON s.logicalrelid = (b.schema || '.sessions')::regclass
INNER JOIN pg_dist_placement AS p USING (shardid)
INNER JOIN pg_dist_node AS d ON p.groupid = d.groupid
"""

NodeFault = Callable[["Nodes", int], AbstractAsyncContextManager[None]]


def bucket_of(session_id: str) -> int:
    return int(session_id[-2:], 16)


@define(eq=False)
class Nodes:
    """Two workers of a cluster, by their ports, with the buckets of one database. Controllers reach them by `proxies`."""

    cluster: Cluster
    database: str
    proxies: Mapping[int, Proxy]

    @property
    def addresses(self) -> str:
        """The nodes as DATABASE_NODES names them."""
        return ",".join(f"{group}=127.0.0.1:{proxy.port}" for group, proxy in enumerate(self.proxies.values(), 1))

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement on the coordinator."""
        with psycopg.connect(
            self.cluster.url(self.database), autocommit=True, options="-c client_min_messages=error"
        ) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description is not None else []

    def buckets_at(self, port: int) -> set[int]:
        return {number for number, at in self.run(_PLACES) if at == port}

    def gather(self, port: int) -> None:
        """Move all buckets to one node."""
        for number, at in self.run(_PLACES):
            if at != port:
                self.run(f"SELECT citus_schema_move('bucket_{number}', '127.0.0.1', {port}, 'block_writes')")

    def rebalance(self) -> None:
        """Let Citus divide the buckets among the nodes, and wait until it has."""
        self.run("SELECT citus_rebalance_start()")
        self.run("SELECT citus_rebalance_wait()")

    def stored(self) -> dict[str, Stored]:
        """Return the sessions that callers without keys have made."""
        return {row[0]: Stored(*row[1:]) for row in self._of_all(_STORED)}

    def counted(self) -> set[str]:
        """Return the executions that are counted."""
        return {execution_id for (execution_id,) in self._of_all(_COUNTED)}

    def made(self) -> Sequence[int]:
        """Return the numbers of the keyed calls by which sessions were made."""
        return [number for (number,) in self._of_all(_MADE)]

    def _of_all(self, query: str) -> list[tuple[Any, ...]]:
        schemas = ["meta", *(f"bucket_{number}" for number, _ in self.run(_PLACES))]
        return [row for schema in schemas for row in self.run(query.format(schema))]


@contextlib.asynccontextmanager
async def nodes_of(cluster: Cluster, database: str) -> AsyncIterator[Nodes]:
    """Yield the workers of a cluster behind proxies."""
    proxies = {port: await Proxy("127.0.0.1", port, lets_end=True).start() for port in cluster.ports[1:]}
    try:
        yield Nodes(cluster, database, proxies)
    finally:
        for proxy in proxies.values():
            await proxy.stop()


@contextlib.asynccontextmanager
async def killed(nodes: Nodes, port: int) -> AsyncIterator[None]:
    nodes.cluster.kill(port)
    yield
    await asyncio.to_thread(nodes.cluster.start, port)


@contextlib.asynccontextmanager
async def frozen(nodes: Nodes, port: int) -> AsyncIterator[None]:
    nodes.cluster.freeze(port)
    try:
        yield
    finally:
        nodes.cluster.thaw(port)


@contextlib.asynccontextmanager
async def silent(nodes: Nodes, port: int) -> AsyncIterator[None]:
    """Lose every packet from and to the node, those of connections that exist among them."""
    nodes.proxies[port].mode = Mode.SILENT
    yield
    nodes.proxies[port].mode = Mode.PASS


FAULTS: Mapping[str, NodeFault] = {"killed": killed, "frozen": frozen, "silent": silent}
