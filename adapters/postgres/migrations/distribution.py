"""The division of a database into buckets, which copies nothing."""

from collections.abc import Callable, Sequence

import psycopg
from attrs import define, frozen

from adapters.postgres.gateway_options import APPLICATION
from adapters.postgres.migrations.announcement import Announcement, DistributionEnded
from adapters.postgres.migrations.buckets import SCHEMA, BucketMigrations, BucketSchema, ClusterNode
from adapters.postgres.migrations.connections import fetch
from adapters.postgres.migrations.down import MigrationFailed
from adapters.postgres.migrations.runner import MigrationRunner
from adapters.postgres.statements.catalogue import Statements
from domain.buckets.bucket_map import NUMBER_MAX
from domain.errors import StorageUnavailable
from domain.inspection import BucketLocation

_CITUS = "14.0"
"""Statements on shards are no documented interface: each version is tried before it is allowed."""

_SERVER_MIN = 170_000

_BUCKET_S = 10
"""A bucket took 3 to 11 s where other work shared the processors."""


class CannotDistribute(MigrationFailed):
    """The database cannot be divided like this; the text says why, and what to do. Nothing was changed."""


@frozen
class UnawareClients:
    """Clients of one role at one address that look for all sessions in `meta`: they stop once there are buckets.

    They are controllers without DATABASE_NODES or of an older release, and commands. `address` is None for a Unix
    socket, or if `is_hidden`: the role that asks may not see it.
    """

    role: str
    address: str | None
    connections: int
    is_hidden: bool


@frozen
class DistributionPlan:
    """What a run would do. `rows` and `size_bytes` are those of `meta`, which stay."""

    citus_version: str
    nodes: Sequence[ClusterNode]
    known: Sequence[BucketSchema]
    numbers: Sequence[int]
    """The buckets to be made."""

    rows: int
    size_bytes: int
    unaware: Sequence[UnawareClients] = ()
    """Who stops; none if there are buckets already."""

    @property
    def duration_s(self) -> int:
        """How long the run takes, roughly."""
        return _BUCKET_S * len(self.numbers)


@frozen
class MadeBucket:
    """A bucket that was made, and where Citus has put it."""

    number: int
    location: BucketLocation


@define(eq=False)
class Distribution:
    """Makes buckets, and lets them begin together once all are made.

    A run that ends anywhere has changed nothing that controllers see; the next one completes it. `connections` returns
    how many connections a controller opens to a node with that many buckets.
    """

    _home: MigrationRunner
    _buckets: BucketMigrations
    _statements: Statements
    _connections: Callable[[int], int]
    _announcement: Announcement

    async def plan(self, wanted: int | None) -> DistributionPlan:
        """Return what a run would do for `wanted` buckets in all (default: one for each node that takes buckets).

        Raises CannotDistribute, and what MigrationRunner raises.
        """
        try:
            return await self._planned(wanted)
        except psycopg.OperationalError as error:
            raise StorageUnavailable from error

    async def run(self, plan: DistributionPlan, report: Callable[[MadeBucket], None]) -> None:
        """Make the buckets of a plan, calling `report` with each; then let them begin ANNOUNCED later."""
        try:
            for number in plan.numbers:
                report(MadeBucket(number, await self._buckets.make(SCHEMA.format(number))))
        except psycopg.Error as error:
            raise DistributionEnded(error) from error
        if plan.numbers:
            await self._announcement.make(plan.numbers)

    async def _planned(self, wanted: int | None) -> DistributionPlan:
        statements = self._statements.buckets
        async with self._buckets.connections.single_statements() as connection:
            ((version, version_number, may_create, owns_home),) = await fetch(connection, statements.select_cluster)
            require_citus(version, version_number)
            ((is_coordinator,),) = await fetch(connection, statements.select_is_coordinator)
            ((rows, size_bytes),) = await fetch(connection, statements.select_home_size)
            clients = await fetch(connection, statements.select_unaware, {"application": APPLICATION})
        require_rights(is_coordinator=is_coordinator, may_create=may_create, owns_home=owns_home)
        if pending := await self._home.pending():
            raise CannotDistribute(f"The schema lacks {pending[0]}. Run `pglambda migrate up` first.")
        known, nodes = await self._buckets.known(), await self._buckets.nodes()
        numbers = new_numbers(wanted, known, len(nodes))
        self._require_nodes(nodes, len(known) + len(numbers))
        unaware = [] if known else [UnawareClients(*row) for row in clients]
        return DistributionPlan(version, nodes, known, numbers, rows, size_bytes, unaware)

    def _require_nodes(self, nodes: Sequence[ClusterNode], buckets: int) -> None:
        if not nodes:
            raise CannotDistribute(
                "No node of the cluster takes buckets. Add one: SELECT citus_add_node('host', 5432), and see that "
                "`shouldhaveshards` is true in pg_dist_node."
            )
        needed = self._connections(-(-buckets // len(nodes)))
        for node in nodes:
            require_usable(node, needed)


def require_citus(version: str | None, version_number: int) -> None:
    """Raise CannotDistribute without the extension (None), with a version that was not tried, or on an old server.

    `version_number` is the setting `server_version_num`.
    """
    if version is None:
        raise CannotDistribute(
            "The database does not have the extension Citus. Install Citus 14.0 on each server, add `citus` to "
            "shared_preload_libraries, restart the servers, and run CREATE EXTENSION citus in the database of each. "
            "docs/scale.md has the steps."
        )
    if not version.startswith(f"{_CITUS}-"):
        raise CannotDistribute(
            f"The database has Citus {version}, and this release was tried with {_CITUS} only. Install {_CITUS}, and "
            "run ALTER EXTENSION citus UPDATE."
        )
    if version_number < _SERVER_MIN:
        raise CannotDistribute(
            f"The servers have PostgreSQL {version_number // 10_000}, and controllers set transaction_timeout at the "
            f"nodes, which needs PostgreSQL {_SERVER_MIN // 10_000}. Upgrade the servers."
        )


def require_rights(*, is_coordinator: bool, may_create: bool, owns_home: bool) -> None:
    """Raise CannotDistribute at a node that cannot place schemas, or for a role that may not make them."""
    if not is_coordinator:
        raise CannotDistribute(
            "DATABASE_URL names a server that is not the coordinator of the cluster. Name the coordinator. If there is "
            "none yet, run SELECT citus_set_coordinator_host('host', 5432) there."
        )
    if not (may_create and owns_home):
        raise CannotDistribute(
            "The role of DATABASE_URL does not own the schema `meta`, or may not create schemas. Use the role that "
            "migrates, and GRANT CREATE ON DATABASE to it."
        )


def new_numbers(wanted: int | None, known: Sequence[BucketSchema], nodes: int) -> Sequence[int]:
    """Return the numbers of the buckets to be made (default: so that there is one for each node, at least).

    Raises CannotDistribute if there are more than wanted.
    """
    taken = {bucket.number for bucket in known}
    if wanted is None:
        wanted = max(len(taken), min(nodes, NUMBER_MAX))
    if wanted < len(taken):
        raise CannotDistribute(
            f"The database has {len(taken)} buckets already, and their number can only be raised. --buckets is "
            f"{wanted}."
        )
    return [number for number in range(1, wanted + 1) if number not in taken]


def require_usable(node: ClusterNode, connections: int) -> None:
    """Raise CannotDistribute if a node is away, cannot move buckets, or has not so many connections for clients."""
    where = f"The node {node.host}:{node.port}"
    if node.free is None:
        raise CannotDistribute(
            f"{where} does not respond to the coordinator. Start it, and see that the coordinator's role may connect."
        )
    if node.wal_level != "logical":
        raise CannotDistribute(
            f"{where} has wal_level = {node.wal_level}, and buckets are moved by logical replication. Set wal_level = "
            "logical, and restart the server."
        )
    if node.free < connections:
        raise CannotDistribute(
            f"{where} has {node.free} free connections, and each controller opens up to {connections} to it. Raise "
            "max_connections, or lower DB_POOL_MAX or --buckets."
        )
