"""The audit record in PostgreSQL."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from attrs import define
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.administration import AuditStatements
from domain.audit import Act, Actor, AuditEntry, AuditReader
from domain.identity import Owner
from domain.paging import Page


@define(eq=False)
class PostgresAuditReader(AuditReader):
    """Reads `meta.audit`."""

    _gateway: Gateway
    _statements: AuditStatements

    @override
    async def page(self, after: UUID | None, size: int) -> Page[AuditEntry]:
        parameters = {"after": after, "rows_max": size + 1}
        rows = await self._gateway.fetch(self._statements.select_audit_page, parameters)
        shown = [entry_of(row) for row in rows[:size]]
        return Page(shown, shown[-1].act_id if len(rows) > size else None)


@define(eq=False)
class DatabaseActs:
    """Records acts that no statement makes, or that are recorded after the statement that makes them."""

    _gateway: Gateway
    _statements: AuditStatements

    async def record(self, act: Act, subject: str, details: Mapping[str, object], owner: Owner | None = None) -> None:
        """Record an act; raises StorageUnavailable or Overloaded."""
        named = {"owner": owner, "subject": subject, "details": json.dumps(dict(details))}
        parameters = {**codec.act_columns(act), **named}
        await self._gateway.fetch(self._statements.insert_act, parameters)


def entry_of(row: tuple[Any, ...]) -> AuditEntry:
    """Return the entry in a row."""
    act_id, actor, origin, act, owner, subject, details = row
    return AuditEntry(act_id, Actor(actor, origin), act, owner and Owner(owner), subject, json.loads(details))
