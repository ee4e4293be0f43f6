"""The check that the database has the schema of this release."""

from collections.abc import Sequence

from attrs import define, field

from adapters.postgres.gateway import Gateway
from adapters.postgres.migrations.migration import AppliedMigration, Migration, load_migrations, require_same
from adapters.postgres.statements import MigrationStatements


@define(eq=False)
class SchemaCheck:
    """Reads the applied steps through the gateway, like a statement of a request."""

    _gateway: Gateway
    _statements: MigrationStatements
    _steps: Sequence[Migration] = field(factory=load_migrations)

    async def pending(self) -> Sequence[str]:
        """Return the names of the pending steps; raises MigrationsDiffer, and what `fetch` raises."""
        ((there,),) = await self._gateway.fetch(self._statements.select_migrations_exist, {})
        rows = await self._gateway.fetch(self._statements.select_migrations, {}) if there else []
        applied = [AppliedMigration(*row) for row in rows]
        require_same(self._steps, applied)
        taken = {migration.version for migration in applied}
        return [str(step) for step in self._steps if step.version not in taken]
