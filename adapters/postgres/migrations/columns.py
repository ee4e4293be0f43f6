"""Options of the columns of a bucket: how values are stored, and of how many of them statistics are kept."""

from attrs import define

from adapters.postgres.migrations.connections import MigrationConnections, fetch, run
from adapters.postgres.migrations.down import MigrationFailed
from adapters.postgres.statements.administration import BucketStatements


class ColumnsNotSet(MigrationFailed):
    """A node did not set the options of columns."""

    def __init__(self, table: str, reason: str) -> None:
        super().__init__(
            f"The columns of {table} did not get the storage and the statistics of those in `meta`: {reason}. Remove "
            "the cause, and run the command again."
        )


@define(eq=False)
class BucketColumns:
    """Gives the columns of a bucket the options that those of `meta` have. It can be repeated.

    Citus carries no such change to a shard. It makes shards as the tables are on the coordinator, so both are changed.
    """

    _connections: MigrationConnections
    _statements: BucketStatements
    _lock_timeout_s: float

    async def set_shards(self, schema: str) -> None:
        """Set the options of the shards, and then those of the tables; raises ColumnsNotSet."""
        statements = self._statements
        async with self._connections.single_statements() as connection:
            for table, options, _ in await fetch(connection, statements.select_column_options, {"schema": schema}):
                shard = {"table": table, "options": options}
                for is_set, result in await fetch(connection, statements.alter_shard, shard):
                    if not is_set:
                        raise ColumnsNotSet(table, result)
        await self.set_tables(schema)

    async def set_tables(self, schema: str) -> None:
        """Set the options of the tables on the coordinator alone; a bucket that is not distributed has no others."""
        statements = self._statements
        async with self._connections.transaction(self._lock_timeout_s) as connection:
            changes = await fetch(connection, statements.select_column_options, {"schema": schema})
            await fetch(connection, statements.keep_changes_here)
            for _, _, change in changes:
                await run(connection, change)
