"""Where the buckets lie: the node of each, and its shards there."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any, cast

import structlog
from attrs import define, field, frozen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from typing_extensions import override

from adapters.postgres.connections.held import Hold
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.administration import BucketStatements
from domain.buckets.bucket_map import Bucket, BucketMap, OwnerMove
from domain.buckets.ports import BucketRegister
from domain.concurrency.background_tasks import SharedTasks
from domain.errors import StorageUnavailable
from domain.identity import Owner

_READ_INTERVAL_S = 0.02
"""Placements are not read more often, however many statements fail."""

GATHERED_MAX = 64
"""Buckets of a node whose statements share messages: the plans of each take 1.5 MB on each connection for these."""

_ATTRS = "target_session_attrs"

OnPlaced = Callable[["Placement"], None]
"""Called with a bucket that was found, or found at another node, or among others there, than before."""

_log = structlog.get_logger(__name__)


@frozen
class Node:
    """A server of the cluster: its group, which a failover keeps, and the address at which controllers reach it."""

    group: int
    host: str
    port: int

    @property
    def address(self) -> str:
        """Host and port, for people."""
        return f"{self.host}:{self.port}"

    def dsn(self, home: str) -> str:
        """Return the address of the same database as that of home, at this node.

        A node that has become a standby is refused, unless the address of home allows one: its bucket is elsewhere now.
        """
        return dsn_at(self.host, self.port, home)


def dsn_at(host: str, port: int, home: str) -> str:
    """Return the address of home with another host."""
    given = {name: value for name, value in conninfo_to_dict(home).items() if name != "hostaddr"}
    return make_conninfo("", **{_ATTRS: "read-write"} | given | {"host": host, "port": port})


@frozen
class Placement:
    """A bucket at its node, for statements that name its shards."""

    number: int
    schema: str
    node: Node
    shards: Mapping[str, int] = field(repr=False)
    """The numbers of its shards by their tables; a move keeps them."""

    buckets_of_node: int
    gathers: bool
    """Whether its statements share messages with those of other buckets there."""

    hold: Hold = field(repr=False)
    _statements: dict[str, Statement] = field(factory=dict, init=False, eq=False, repr=False)

    def statement(self, statement: Statement) -> Statement:
        """Return the statement for this bucket; raises UnknownTable if a migration is missing there."""
        found = self._statements.get(statement.name)
        if found is None:
            found = self._statements[statement.name] = statement.at(self.schema, self.shards)
        return found


class UnplacedBucket(StorageUnavailable):
    """No node has the bucket, or the database does not know it."""


def _ignore(_: Placement) -> None:
    return


class Placements:
    """The placements of all buckets, as the database showed them last.

    `addresses` are the hosts and ports of nodes by group, where controllers see others than the cluster does.
    `on_placed` may be set to hear of each bucket that is found, and of each that is found elsewhere or among others.
    """

    def __init__(
        self,
        home: Gateway,
        statements: BucketStatements,
        addresses: Mapping[int, tuple[str, int]] | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home = home
        self._statements = statements
        self._addresses = addresses or {}
        self._monotonic_s = monotonic_s
        self._known: Mapping[int, Placement] = {}
        self._read_at_s = float("-inf")
        self._reading: SharedTasks[str, None] = SharedTasks()
        self.on_placed: OnPlaced = _ignore
        self.moves = 0
        """Buckets that were found at another node than before."""

        self.reads = 0

    @property
    def nodes(self) -> Collection[Node]:
        """The nodes that have buckets, as far as is known."""
        return {each.node for each in self._known.values()}

    def known(self, number: int) -> Placement | None:
        """Return what is known of a bucket without asking the database."""
        return self._known.get(number)

    async def workers(self) -> Sequence[Node]:
        """Return all nodes but the coordinator, with buckets or without; raises what `fetch` raises.

        There are none in a database without Citus.
        """
        ((exist,),) = await self._home.fetch(self._statements.select_nodes_exist, {})
        if not exist:
            return []
        rows = await self._home.fetch(self._statements.select_workers, {})
        return [self._node(*row) for row in rows]

    async def of(self, number: int) -> Placement:
        """Return the placement of a bucket; raises UnplacedBucket, and what `fetch` raises."""
        found = self._known.get(number)
        if found is None:
            await self._reading.result("read", self._read)
            found = self._known.get(number)
        if found is None:
            raise UnplacedBucket(stored="no")
        return found

    async def after(self, seen: Placement) -> Placement:
        """Return the placement of a bucket after one that was wrong; the same one if the database shows no other.

        Raises UnplacedBucket, and what `fetch` raises.
        """
        is_due = self._monotonic_s() - self._read_at_s >= _READ_INTERVAL_S
        if self._known.get(seen.number) is seen and is_due:
            await self._reading.result("read", self._read)
        return await self.of(seen.number)

    async def _read(self) -> None:
        self.reads += 1
        rows = await self._home.fetch(self._statements.select_placements, {})
        self._read_at_s = self._monotonic_s()
        buckets = Counter(group for _, _, group, *_ in rows)
        ranks: dict[int, count[int]] = defaultdict(count)
        before, found = self._known, [self._placement(row, buckets[row[2]], next(ranks[row[2]])) for row in rows]
        self._known = {each.number: self._kept(each) for each in found}
        for each in found:
            known = before.get(each.number)
            if known != each:
                self._note_place(known, each)

    def _placement(self, row: Sequence[Any], buckets_of_node: int, rank: int) -> Placement:
        number, schema, group, host, port, shards = row
        node = self._node(group, host, port)
        hold = Hold(
            self._statements.select_hold.at(schema, shards), shards["sessions"], self._statements.select_shards_open
        )
        gathers = buckets_of_node > 1 and rank < GATHERED_MAX
        return Placement(number, schema, node, shards, buckets_of_node, gathers, hold)

    def _node(self, group: int, host: str, port: int) -> Node:
        return Node(group, *self._addresses.get(group, (host, port)))

    def _kept(self, found: Placement) -> Placement:
        """Return the placement as it is known if nothing has changed: its statements and connections stay.

        Buckets divide the connections to their node, so another number of them there is a change.
        """
        known = self._known.get(found.number)
        return known if known == found else found

    def _note_place(self, known: Placement | None, found: Placement) -> None:
        if known is not None and known.node != found.node:
            self.moves += 1
            _log.info("bucket_moved", bucket=found.number, node=found.node.address)
        self.on_placed(found)


@define(eq=False)
class PostgresBucketRegister(BucketRegister):
    """Keeps the buckets in `meta.buckets`, and the moves of owners in `meta.owner_moves`."""

    _home: Gateway
    _statements: BucketStatements

    @override
    async def read(self) -> BucketMap:
        buckets = await self._home.fetch(self._statements.select_buckets, {})
        moves = await self._home.fetch(self._statements.select_owner_moves, {})
        return BucketMap(
            [Bucket(number, from_at) for number, _, from_at in buckets], [OwnerMove(*row) for row in moves]
        )

    @override
    async def announce(self, source: Owner, target: Owner, now: datetime) -> datetime:
        move = {"owner_from": source, "owner_to": target, "now": now}
        ((first_at,),) = await self._home.fetch(self._statements.insert_owner_move, move)
        return cast("datetime", first_at)

    @override
    async def forget(self, move: OwnerMove) -> None:
        read = {"owner_from": move.source, "owner_to": move.target, "last_at": move.last_at}
        await self._home.fetch(self._statements.delete_owner_move, read)
