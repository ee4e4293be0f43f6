"""Facts about the buckets and the nodes of a distributed database, read over one connection."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, evolve, field

from adapters.postgres.buckets.node_facts import node_facts
from adapters.postgres.connections.inspection import InspectionConnection
from adapters.postgres.connections.statement import Statement
from adapters.postgres.migrations.migration import AppliedMigration, Migration, SchemaState
from adapters.postgres.statements.catalogue import Statements
from domain.inspection import NOWHERE, BucketFacts, BucketLocation, NodeFacts


@define(eq=False)
class BucketInspector:
    """Reads facts at the coordinator; every method may raise InspectionFailed."""

    _connection: InspectionConnection
    _statements: Statements
    _steps: Sequence[Migration]
    _node_timeout_s: float
    """The time in which the coordinator connects to its nodes."""

    _known: tuple[Sequence[BucketFacts], Sequence[NodeFacts]] | None = field(default=None, init=False)

    async def facts(self) -> tuple[Sequence[BucketFacts], Sequence[NodeFacts]]:
        """Return the buckets and the nodes of a distributed database, as they were at first; nothing of a plain one."""
        if self._known is None:
            self._known = await self._read()
        return self._known

    async def rows_of_each(self, statement: Statement, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Return the rows of a statement in all buckets whose nodes respond, and that have all migrations."""
        buckets, nodes = await self.facts()
        away, found = {node.address for node in nodes if node.is_away}, []
        for each in buckets:
            if not (each.pending or away.intersection(each.location.nodes)):
                found += await self._rows(in_bucket(statement, each.schema), parameters)
        return found

    async def _read(self) -> tuple[Sequence[BucketFacts], Sequence[NodeFacts]]:
        schemas = await self.schemas()
        if not schemas:
            return [], []
        found = await self._rows(self._statements.buckets.select_bucket_locations)
        locations = {schema: BucketLocation(*location) for schema, *location in found}
        nodes = await self._nodes()
        away = {node.address for node in nodes if node.is_away}
        facts = []
        for schema in schemas:
            location = locations.get(schema, NOWHERE)
            pending = [] if away.intersection(location.nodes) else await self._lacking(schema)
            facts.append(BucketFacts(schema, location, pending))
        return facts, nodes

    async def schemas(self) -> Sequence[str]:
        """Return the schemas of the buckets."""
        statements = self._statements.buckets
        ((exists,),) = await self._rows(statements.select_buckets_exist)
        return [schema for _, schema, _ in await self._rows(statements.select_buckets)] if exists else []

    async def _nodes(self) -> Sequence[NodeFacts]:
        clock, limit = self._statements.clock, {"milliseconds": str(round(self._node_timeout_s * 1000))}
        await self._rows(clock.limit_node_connects, limit)
        return node_facts(await self._rows(clock.select_node_facts))

    async def _lacking(self, schema: str) -> Sequence[str]:
        """Return the migrations that a bucket lacks."""
        rows = await self._rows(in_bucket(self._statements.migrations.select_migrations, schema))
        steps = [step.at(schema) for step in self._steps]
        return [str(step) for step in SchemaState.of(steps, [AppliedMigration(*row) for row in rows]).pending]

    async def _rows(
        self, statement: Statement, parameters: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        return await self._connection.fetch(statement, parameters)


def in_bucket(statement: Statement, schema: str) -> Statement:
    """Return a statement for a bucket, which is not prepared: the connection knows statements by their names."""
    return evolve(statement.at(schema, {}), prepare=False)
