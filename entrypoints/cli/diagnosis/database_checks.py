"""All looks at a database."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from domain.inspection import DatabaseUnreachable, Obstacle
from entrypoints.cli.diagnosis import access, clocks, disk, reach, rights, schema, server, standbys, tables
from entrypoints.cli.diagnosis.check import Check, in_order
from entrypoints.cli.diagnosis.finding import Finding, problem
from entrypoints.settings.environment import SettingsError
from entrypoints.settings.settings import Settings

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands, DatabaseInspector

_TIMEOUT_S = 60.0
"""What all looks together may take, connecting to several hosts included."""


async def examine_database(commands: "Commands") -> Sequence[Finding]:
    """Return what there is to be said of the database; when it cannot be reached, that alone."""

    async def look() -> Sequence[Finding]:
        try:
            inspection = commands.database_inspection()
        except SettingsError as error:
            raise DatabaseUnreachable(Obstacle.ADDRESS, str(error)) from error
        async with inspection as database:
            return await in_order(DatabaseChecks(database, commands.settings()).checks)

    return await Check(reach.SUBJECT, look, _TIMEOUT_S).findings()


def unstarted(reason: str) -> Finding:
    """Return that the embedded server could not be had."""
    return problem(reach.SUBJECT, reason, "Without its database the service does not start.", "Do as the reason says.")


@frozen
class DatabaseChecks:
    """Sees a part of the database, and judges it."""

    _database: "DatabaseInspector"
    _settings: Settings

    @property
    def checks(self) -> Sequence[Check]:
        """All looks, in the order to tell of them."""
        return [
            Check(reach.SUBJECT, self._connection),
            Check(server.SUBJECT, self._server),
            Check(clocks.SUBJECT, self._clock),
            Check(rights.SUBJECT, self._rights),
            Check(schema.SUBJECT, self._schema),
            Check(schema.SUBJECT, self._indexes),
            Check(tables.SUBJECT, self._tables),
            Check(standbys.SUBJECT, self._replication),
            Check(access.SUBJECT, self._access),
            Check(disk.DISK, self._stored),
        ]

    async def _connection(self) -> Sequence[Finding]:
        return reach.judge_connection(await self._database.connection(), self._settings)

    async def _server(self) -> Sequence[Finding]:
        return server.judge_server(await self._database.server(), self._settings)

    async def _clock(self) -> Sequence[Finding]:
        facts = await self._database.clock()
        oldest_at = await self._database.oldest_transaction()
        return [*clocks.judge_clock(facts, self._settings), *tables.judge_transactions(oldest_at, facts.now)]

    async def _rights(self) -> Sequence[Finding]:
        return rights.judge_rights(await self._database.missing_rights(), (await self._database.server()).role)

    async def _schema(self) -> Sequence[Finding]:
        return schema.judge_schema(await self._database.schema(), self._settings)

    async def _indexes(self) -> Sequence[Finding]:
        return schema.judge_indexes(await self._database.indexes())

    async def _tables(self) -> Sequence[Finding]:
        return tables.judge_tables(await self._database.tables())

    async def _replication(self) -> Sequence[Finding]:
        facts = await self._database.replication()
        found = standbys.judge_replication(facts, await self._database.server())
        return [*found, *tables.judge_slots(facts.idle_slots)]

    async def _access(self) -> Sequence[Finding]:
        if (await self._database.schema()).pending:
            return []  # the tables may not be there, which is said already
        return access.judge_access(await self._database.access(access.COUNTED_MAX + 1), self._settings)

    async def _stored(self) -> Sequence[Finding]:
        return disk.judge_stored(await self._database.stored_bytes(), self._settings)
