"""The schemas of buckets: made by the same migrations as `meta`, and kept at the same step."""

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg
from attrs import define, evolve, field, fields, frozen

from adapters.postgres.buckets.node_facts import node_facts
from adapters.postgres.connections.connection import Connection
from adapters.postgres.connections.statement import placed
from adapters.postgres.migrations.columns import BucketColumns
from adapters.postgres.migrations.connections import MigrationConnections, fetch, run
from adapters.postgres.migrations.down import MigrationFailed
from adapters.postgres.migrations.migration import Migration, load_migrations
from adapters.postgres.migrations.options import MigrationOptions
from adapters.postgres.migrations.runner import MigrationRunner
from adapters.postgres.statements.administration import MigrationStatements
from adapters.postgres.statements.catalogue import Statements
from domain.clock import Clock
from domain.errors import StorageUnavailable
from domain.inspection import NOWHERE, BucketLocation, NodeFacts

SCHEMA = "bucket_{}"
"""The schema of a bucket, by its number."""


class RightsNotGiven(MigrationFailed):
    """A node lacks a role that has rights on `meta`."""

    def __init__(self, schema: str, error: psycopg.Error) -> None:
        super().__init__(
            f"The roles with rights on `meta` did not get them in {schema}: {str(error).strip()}. Make the same roles "
            "on each server, and run the command again."
        )


@frozen
class BucketSchema:
    """A bucket by its number: its schema, and the instant from which ids belong to it."""

    number: int
    schema: str
    from_at: datetime


@frozen
class BucketStatus:
    """A bucket, the names of the migrations that it lacks, and where its tables lie.

    `away` is why they could not be read; empty if they were.
    """

    bucket: BucketSchema
    pending: Sequence[str]
    location: BucketLocation = NOWHERE
    away: str = ""


@frozen
class ClusterNode:
    """A node that takes buckets. `free` are the connections that clients can still open there."""

    group: int
    host: str
    port: int
    buckets: int
    wal_level: str | None
    free: int | None


@define(eq=False)
class BucketMigrations:
    """Makes the schemas of buckets, and applies steps in them, on the coordinator.

    Every step of the making can be repeated, so it may end anywhere. Every method may raise what MigrationRunner does.
    """

    _dsn: str = field(repr=False)
    _statements: Statements
    _clock: Clock
    _options: MigrationOptions = field(factory=MigrationOptions)
    _steps: Sequence[Migration] = field(factory=load_migrations)
    connections: MigrationConnections = field(init=False)
    _columns: BucketColumns = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.connections = MigrationConnections(self._dsn, self._statements.migrations.set_timeouts, self._options)
        self._columns = BucketColumns(self.connections, self._statements.buckets, self._options.lock_timeout_long_s)

    async def known(self) -> Sequence[BucketSchema]:
        """Return the buckets of the database, by number; none of a plain one."""
        buckets = self._statements.buckets
        try:
            async with self.connections.transaction(self._options.lock_timeout_s) as connection:
                ((exists,),) = await fetch(connection, buckets.select_buckets_exist)
                rows = await fetch(connection, buckets.select_buckets) if exists else []
        except psycopg.OperationalError as error:
            raise StorageUnavailable from error
        return [BucketSchema(*row) for row in rows]

    async def status(self, to: int | None = None) -> Sequence[BucketStatus]:
        """Return the buckets, each with the steps that it lacks up to version `to` (default: all), and its location."""
        known = await self.known()
        if not known:
            return []
        locations, away = await self.locations(), {node.address: node for node in await self.away()}
        return [await self._status(each, locations.get(each.schema, NOWHERE), away, to) for each in known]

    async def _status(
        self, bucket: BucketSchema, location: BucketLocation, away: Mapping[str, NodeFacts], to: int | None
    ) -> BucketStatus:
        reasons = [away[address].reason for address in location.nodes if address in away]
        if reasons:
            return BucketStatus(bucket, [], location, reasons[0])
        try:
            steps = await self.pending(bucket.schema)
        except StorageUnavailable as error:
            return BucketStatus(bucket, [], location, str(error.__cause__ or error.message).strip())
        wanted = [str(step) for step in steps if to is None or step.version <= to]
        return BucketStatus(bucket, wanted, location)

    async def locations(self) -> Mapping[str, BucketLocation]:
        """Return where the announced buckets lie, by their schemas."""
        async with self.connections.transaction(self._options.lock_timeout_s) as connection:
            rows = await fetch(connection, self._statements.buckets.select_bucket_locations)
        return {schema: BucketLocation(nodes, shard) for schema, nodes, shard in rows}

    async def facts_of_nodes(self) -> Sequence[NodeFacts]:
        """Return what the coordinator finds out about its nodes."""
        try:
            async with self.connections.transaction(self._options.lock_timeout_s) as connection:
                return node_facts(await fetch(connection, self._statements.clock.select_node_facts))
        except psycopg.OperationalError as error:
            raise StorageUnavailable from error

    async def away(self) -> Sequence[NodeFacts]:
        """Return the nodes that the coordinator does not reach."""
        return [node for node in await self.facts_of_nodes() if node.is_away]

    async def pending(self, schema: str) -> Sequence[Migration]:
        """Return the steps that a bucket lacks."""
        return await self._runner(schema).pending()

    async def up(self, schema: str, to: int | None = None) -> Sequence[Migration]:
        """Apply the steps that a bucket lacks up to version `to`, and return them; then give roles their rights."""
        applied = await self._runner(schema).up(to)
        if applied or await self._has_unplaced_functions(schema):  # an earlier run may have ended before it placed them
            await self._place_functions(schema)
        await self._columns.set(schema)
        await self._give_rights(schema)
        return applied

    async def make(self, schema: str) -> BucketLocation:
        """Make a schema with all tables, which no controller uses yet, let Citus place it, and return where.

        A bucket that was begun before is completed. Its steps are the caller's progress, and not logged one by one.
        """
        statements = self._statements.buckets
        await self._runner(schema, logging.DEBUG).up()
        async with self.connections.single_statements() as connection:
            ((is_distributed,),) = await fetch(connection, statements.select_is_distributed, {"schema": schema})
            if not is_distributed:
                await fetch(connection, statements.empty_bucket.at(schema, {}))
                await fetch(connection, statements.distribute_schema, {"schema": schema})
        await self._place_functions(schema)
        await self._give_rights(schema)
        await self._level(schema)
        await self._columns.set(schema)
        async with self.connections.single_statements() as connection:
            ((node, shard),) = await fetch(connection, statements.select_location, {"schema": schema})
        return BucketLocation([node], shard)

    async def nodes(self) -> Sequence[ClusterNode]:
        """Return the nodes that take buckets."""
        async with self.connections.single_statements() as connection:
            rows = await fetch(connection, self._statements.buckets.select_nodes)
        return [_node(row) for row in rows]

    async def _has_unplaced_functions(self, schema: str) -> bool:
        statements, of = self._statements.buckets, {"schema": schema}
        async with self.connections.transaction(self._options.lock_timeout_s) as connection:
            shards: Mapping[str, int] = dict(await fetch(connection, statements.select_shards, of))
            texts = await fetch(connection, statements.select_function_texts, of)
        return any(_function_at(text, schema, shards) != text for (text,) in texts)

    async def _place_functions(self, schema: str) -> None:
        """Let the functions of a bucket name its shards; Citus carries them to all nodes."""
        statements, of = self._statements.buckets, {"schema": schema}
        async with self.connections.transaction(self._options.lock_timeout_long_s) as connection:
            await fetch(connection, statements.leave_bodies_unchecked)
            await fetch(connection, statements.create_hold.at(schema, {}))
            await fetch(connection, statements.close_hold.at(schema, {}))
            shards: Mapping[str, int] = dict(await fetch(connection, statements.select_shards, of))
            for (text,) in await fetch(connection, statements.select_function_texts, of):
                await run(connection, _function_at(text, schema, shards))

    async def _give_rights(self, schema: str) -> None:
        """Give roles the rights that they have on `meta`; Citus carries them to all nodes."""
        missing = self._statements.buckets.select_missing_grants
        try:
            async with self.connections.transaction(self._options.lock_timeout_long_s) as connection:
                for (grant,) in await fetch(connection, missing, {"schema": schema}):
                    await run(connection, grant)
        except psycopg.errors.UndefinedObject as error:
            raise RightsNotGiven(schema, error) from error

    async def _level(self, schema: str) -> None:
        """Move the bucket to the node with the fewest, if Citus has put it elsewhere."""
        nodes = await self.nodes()
        least = min(nodes, key=lambda node: node.buckets)
        async with self.connections.single_statements() as connection:
            if await self._is_crowded(connection, schema, nodes, least):
                target = {"schema": schema, "host": least.host, "port": least.port}
                await fetch(connection, self._statements.buckets.move_schema, target)

    async def _is_crowded(
        self, connection: Connection, schema: str, nodes: Sequence[ClusterNode], least: ClusterNode
    ) -> bool:
        """Return whether the bucket's node would still have more buckets than the least one without it."""
        ((group,),) = await fetch(connection, self._statements.buckets.select_group, {"schema": schema})
        return any(node.group == group and node.buckets - 1 > least.buckets for node in nodes)

    def _runner(self, schema: str, level: int = logging.INFO) -> MigrationRunner:
        statements = _at(self._statements.migrations, schema)
        steps = [step.at(schema) for step in self._steps]
        return MigrationRunner(self._dsn, statements, self._clock, self._options, steps, level=level)


def _at(statements: MigrationStatements, schema: str) -> MigrationStatements:
    """Return the statements of the runner for the schema of a bucket."""
    names = [each.name for each in fields(MigrationStatements)]
    return evolve(statements, **{name: getattr(statements, name).at(schema, {}) for name in names})


def _function_at(text: str, schema: str, shards: Mapping[str, int]) -> str:
    """Return the text of a function with the names of shards, whether it had them before or not."""
    for table, number in shards.items():
        text = text.replace(f"{schema}.{table}_{number}", f"{schema}.{table}")
    return placed(text, schema, shards, schema)


def _node(row: Sequence[Any]) -> ClusterNode:
    group, host, port, is_reached, result, buckets = row
    facts: Mapping[str, Any] = json.loads(result) if is_reached else {}
    return ClusterNode(group, host, port, buckets, facts.get("wal_level"), facts.get("free"))
