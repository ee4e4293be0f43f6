"""The audit record in memory."""

from collections.abc import Mapping
from uuid import UUID

from attrs import define, field
from typing_extensions import override

from adapters.memory.store import newest_first, page_of
from domain.audit import Act, AuditEntry, AuditReader
from domain.identity import Owner
from domain.paging import Page


@define
class MemoryAudit(AuditReader):
    """Keeps the entries of acts that the fake repositories record; while `failure` is set, a page raises it."""

    entries: dict[UUID, AuditEntry] = field(factory=dict)
    failure: Exception | None = None

    def record(self, act: Act, owner: Owner | None, subject: str, details: Mapping[str, object]) -> None:
        """Record an act."""
        self.entries[act.act_id] = AuditEntry(act.act_id, act.actor, act.name, owner, subject, details)

    @override
    async def page(self, after: UUID | None, size: int) -> Page[AuditEntry]:
        if self.failure is not None:
            raise self.failure
        return page_of(newest_first(self.entries.items(), after), size)
