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
    """Gives the columns of a bucket the options that those of `meta` have.

    Citus refuses to change them, and makes shards of partitions without them, also when it moves a bucket.
    """

    _connections: MigrationConnections
    _statements: BucketStatements
    _lock_timeout_s: float

    async def set(self, schema: str) -> None:
        """Change the shards, and the tables on the coordinator; it can be repeated. Raises ColumnsNotSet."""
        statements = self._statements
        async with self._connections.single_statements() as connection:
            changes = await fetch(connection, statements.select_column_options, {"schema": schema})
            for table, options, _ in changes:
                for is_set, result in await fetch(
                    connection, statements.alter_shard, {"table": table, "options": options}
                ):
                    if not is_set:
                        raise ColumnsNotSet(table, result)
        if changes:
            await self._set_here([change for _, _, change in changes])

    async def _set_here(self, changes: list[str]) -> None:
        async with self._connections.transaction(self._lock_timeout_s) as connection:
            await fetch(connection, self._statements.keep_changes_here)
            for change in changes:
                await run(connection, change)
