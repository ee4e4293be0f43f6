"""Whether the database's schema is the one that this release needs."""

from collections.abc import Sequence

from attrs import define, field

from adapters.postgres.gateway import Gateway
from adapters.postgres.migrations.migration import AppliedMigration, Migration, load_migrations, require_same
from adapters.postgres.statements import MigrationStatements


@define(eq=False)
class SchemaCheck:
    """Looks at the steps that the database has taken, through the gateway like every statement of a request."""

    _gateway: Gateway
    _statements: MigrationStatements
    _steps: Sequence[Migration] = field(factory=load_migrations)

    async def pending(self) -> Sequence[str]:
        """Return the names of the steps to be taken; raises MigrationsDiffer, and as `fetch` does."""
        ((there,),) = await self._gateway.fetch(self._statements.select_migrations_exist, {})
        rows = await self._gateway.fetch(self._statements.select_migrations, {}) if there else []
        applied = [AppliedMigration(*row) for row in rows]
        require_same(self._steps, applied)
        taken = {migration.version for migration in applied}
        return [str(step) for step in self._steps if step.version not in taken]
