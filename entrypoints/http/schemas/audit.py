"""Bodies of the audit record."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct

from domain import audit
from domain.paging import Page
from entrypoints.http.schemas import fields


class ActResponse(Struct):
    """An administrative act."""

    act_id: Annotated[UUID, Meta(description="The id of the act.")]
    at: Annotated[datetime, Meta(description="When it was made, by the clock of the database.")]
    actor: Annotated[str, Meta(description="Who made it: the owner of a credential, or user@host for a command.")]
    origin: Annotated[str, Meta(description="The address of the client, or cli for a command.")]
    act: Annotated[str, Meta(description="What was done, such as keys.create or functions.put.")]
    owner: Annotated[
        str | None, Meta(description="The owner whose objects the act concerns; null if it concerns all owners.")
    ]
    subject: Annotated[
        str,
        Meta(
            description="The id or the name of the object: a key, a session, a language-title, an owner, a migration."
        ),
    ]
    details: Annotated[
        dict[str, Any], Meta(description="Numbers and settings by name. They depend on the act, and have no content.")
    ]

    @classmethod
    def of(cls, entry: audit.AuditEntry) -> "ActResponse":
        """Return the body of an entry."""
        actor, details = entry.actor, dict(entry.details)
        return cls(entry.act_id, entry.at, actor.name, actor.origin, entry.act, entry.owner, entry.subject, details)


class AuditPage(Struct):
    """A page of the audit record; `next_cursor` is null on the last page."""

    acts: Annotated[list[ActResponse], Meta(description="The acts of this page, newest first.")]
    next_cursor: fields.NextCursor

    @classmethod
    def of(cls, page: Page[audit.AuditEntry], following: str | None) -> "AuditPage":
        """Return the body of a page."""
        return cls([ActResponse.of(entry) for entry in page.items], following)
