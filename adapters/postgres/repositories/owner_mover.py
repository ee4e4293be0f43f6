"""Moves the rows of an owner to another owner."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, time

from attrs import field, frozen, validators
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.codec import PARTITIONS
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.writers import WRITERS_WAIT_S, writers_gone
from adapters.postgres.statements.catalogue import Statements
from domain.access.owner_move import MoveStep, OwnedData, OwnerMover
from domain.audit import Act
from domain.clock import Clock
from domain.errors import StorageUnavailable
from domain.identity import NO_ID, Owner, uuid7_time
from domain.scripts.language import Language, LanguageTitle
from domain.secrets.resealing import Resealing

_BIGINT_MAX = 2**63 - 1
_COLLISIONS_MAX = 10
_HALVED_MAX = 16
"""A step is not made smaller than this part of its usual number of rows."""


@frozen
class OwnerMoverOptions:
    """Rows that one statement examines: of sessions, which may have many keys, and of the other tables.

    One statement erases about `bytes_max` of params, responses and history, or one row.
    """

    sessions_max: int = field(default=500, validator=validators.ge(1))
    rows_max: int = field(default=5000, validator=validators.ge(1))
    bytes_max: int = field(default=16 * 1024 * 1024, validator=validators.ge(1))


@frozen
class Walk:
    """A statement that walks through a table in key order, `rows_max` rows at a time.

    One that is `cut` may examine fewer rows than there are, so only a step without rows is the last one.
    """

    part: OwnedData
    statement: Statement
    parameters: Mapping[str, object]
    cursor: Mapping[str, object]
    rows_max: int
    cut: bool = False


class PostgresOwnerMover(OwnerMover):
    """Updates a bounded number of rows per statement, in key order. Without `resealing`, secrets stay."""

    def __init__(
        self,
        gateway: Gateway,
        statements: Statements,
        clock: Clock,
        options: OwnerMoverOptions | None = None,
        resealing: Resealing | None = None,
    ) -> None:
        self._gateway = gateway
        self._statements = statements.owners
        self._select_writers = statements.purges.select_writers
        self._clock = clock
        self._options = options or OwnerMoverOptions()
        self._resealing = resealing

    @override
    async def count(self, owner: Owner) -> Mapping[OwnedData, int]:
        named = {"owner": owner}
        sessions = await self._number(self._statements.select_session_count, named | {"rows_max": _BIGINT_MAX})
        keys = await self._number(self._statements.select_key_count, named)
        history = 0
        for partition in range(PARTITIONS):
            history += await self._number(self._statements.select_history_count, named | {"partition": partition})
        functions = await self._number(self._statements.select_owned_function_count, named)
        return {
            OwnedData.SESSIONS: sessions,
            OwnedData.KEYS: keys,
            OwnedData.HISTORY: history,
            OwnedData.FUNCTIONS: functions,
            OwnedData.WEBHOOKS: await self._number(self._statements.select_webhook_count, named),
            OwnedData.SCHEDULES: await self._number(self._statements.select_schedule_count, named),
            OwnedData.FILES: await self._number(self._statements.select_file_count, named),
            OwnedData.EGRESS_RULES: await self._number(self._statements.select_egress_rule_count, named),
            OwnedData.SECRETS: await self._number(self._statements.select_secret_count, named),
            OwnedData.ENVIRONMENTS: 0,
        }

    @override
    async def collisions(self, source: Owner, target: Owner) -> Sequence[LanguageTitle]:
        parameters = {"owner_from": source, "owner_to": target, "rows_max": _COLLISIONS_MAX}
        rows = await self._gateway.fetch(self._statements.select_function_collisions, parameters)
        return [LanguageTitle(Language(language), title) for language, title in rows]

    @override
    async def oldest(self, owner: Owner) -> datetime | None:
        ((session_id, schedule_id, file_id, day),) = await self._gateway.fetch(
            self._statements.select_oldest_of_owner, {"owner": owner}
        )
        found = [uuid7_time(each) for each in (session_id, schedule_id, file_id) if each is not None]
        if day is not None:
            found.append(datetime.combine(day, time(), UTC))
        return min(found, default=None)

    @override
    async def move(self, source: Owner, target: Owner, act: Act, *, functions: bool = True) -> AsyncIterator[MoveStep]:
        owners = {"owner_from": source, "owner_to": target, **codec.act_columns(act)}
        if self._resealing is not None:
            await self._resealing.require_keys(source)
        for walk in self._walks(owners):
            if functions or walk.part is not OwnedData.FUNCTIONS:
                async for step in steps(self._gateway, walk):
                    yield step
            if walk.statement is self._statements.move_sessions:
                await writers_gone(self._gateway, self._select_writers, WRITERS_WAIT_S)
        if self._resealing is not None:
            async for resealed in self._resealing.move(source, target, act):
                yield MoveStep(OwnedData.SECRETS, resealed.examined, resealed.changed)

    def _walks(self, owners: Mapping[str, object]) -> list[Walk]:
        """Return the walks in order: the queue and the history follow their sessions."""
        statements, rows_max = self._statements, self._options.rows_max
        sessions = {**owners, "now": self._clock.now()}
        first = {"after_request_id": NO_ID, "after_execution_id": NO_ID}
        entry = {"after_ready_at": None, "after_execution_id": NO_ID}
        title = {"after_language": "", "after_title": ""}
        return [
            Walk(OwnedData.ENVIRONMENTS, statements.share_environments, owners, {}, rows_max),
            Walk(OwnedData.SESSIONS, statements.move_sessions, sessions, {"after": None}, self._options.sessions_max),
            *(
                Walk(OwnedData.SESSIONS, statements.move_queue, {**owners, "language": language}, entry, rows_max)
                for language in Language
            ),
            Walk(OwnedData.SESSIONS, statements.move_takings, owners, {"after": None}, rows_max),
            Walk(OwnedData.KEYS, statements.move_initialize_keys, owners, {"after": ""}, rows_max),
            *(
                Walk(OwnedData.HISTORY, statements.move_history, {**owners, "partition": partition}, first, rows_max)
                for partition in range(PARTITIONS)
            ),
            Walk(OwnedData.FUNCTIONS, statements.move_functions, owners, title, rows_max),
            Walk(OwnedData.WEBHOOKS, statements.move_webhooks, owners, {"after": None}, rows_max),
            Walk(OwnedData.SCHEDULES, statements.move_schedules, owners, {"after": None}, rows_max),
            Walk(OwnedData.FILES, statements.move_files, owners, {"after": None}, rows_max),
            Walk(OwnedData.EGRESS_RULES, statements.move_egress_rules, owners, {"after": ""}, rows_max),
        ]

    async def _number(self, statement: Statement, parameters: Mapping[str, object]) -> int:
        ((number,),) = await self._gateway.fetch(statement, parameters)
        return int(number)


async def steps(gateway: Gateway, walk: Walk) -> AsyncIterator[MoveStep]:
    """Walk through a table; a step that takes too long is repeated with half as many rows."""
    cursor, rows_max = walk.cursor, walk.rows_max
    while True:
        try:
            (row,) = await gateway.fetch(walk.statement, {**walk.parameters, **cursor, "rows_max": rows_max})
        except StorageUnavailable:
            if rows_max <= walk.rows_max // _HALVED_MAX:
                raise
            rows_max = -(-rows_max // 2)
            continue
        *reached, examined, done = row
        if examined:
            yield MoveStep(walk.part, examined, done)
        if not examined or (examined < rows_max and not walk.cut):
            return
        cursor = dict(zip(cursor, reached, strict=True))
