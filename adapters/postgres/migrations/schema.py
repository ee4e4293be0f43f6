"""The check that the database has the schema of this release."""

from collections.abc import Sequence

from attrs import define, field

from adapters.postgres.gateway import Gateway
from adapters.postgres.migrations.migration import AppliedMigration, Migration, SchemaState, load_migrations
from adapters.postgres.statements.administration import MigrationStatements


@define(eq=False)
class SchemaCheck:
    """Reads the applied steps through the gateway, like a statement of a request."""

    _gateway: Gateway
    _statements: MigrationStatements
    _steps: Sequence[Migration] = field(factory=load_migrations)

    async def state(self) -> SchemaState:
        """Return the state of the schema, without unknown or differing steps.

        Raises MigrationsDiffer if there are any, and what `fetch` raises.
        """
        ((there,),) = await self._gateway.fetch(self._statements.select_migrations_exist, {})
        rows = await self._gateway.fetch(self._statements.select_migrations, {}) if there else []
        state = SchemaState.of(self._steps, [AppliedMigration(*row) for row in rows])
        state.require_usable()
        return state
