"""The audit record: administrative acts, who made them, when and from where."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from attrs import field, frozen

from domain.clock import Clock, IdGenerator
from domain.concurrency.budget import Budget
from domain.errors import StorageUnavailable
from domain.identity import Owner, uuid7_time
from domain.paging import Page

COMMAND = "cli"
"""The origin of acts that a command makes."""

_ACTOR_SIZE_MAX = 255


class ActName(StrEnum):
    """The kinds of administrative acts."""

    KEYS_CREATE = "keys.create"
    KEYS_REVOKE = "keys.revoke"
    OWNERS_MOVE = "owners.move"
    OWNERS_PURGE = "owners.purge"
    SESSIONS_PURGE = "sessions.purge"
    EXECUTIONS_CANCEL = "executions.cancel"
    EXECUTIONS_RETRY = "executions.retry"
    EXECUTIONS_ERASE = "executions.erase"
    FUNCTIONS_PUT = "functions.put"
    FUNCTIONS_ROLLBACK = "functions.rollback"
    FUNCTIONS_DELETE = "functions.delete"
    WEBHOOKS_CREATE = "webhooks.create"
    WEBHOOKS_UPDATE = "webhooks.update"
    WEBHOOKS_ROTATE = "webhooks.rotate"
    WEBHOOKS_DELETE = "webhooks.delete"
    SCHEDULES_CREATE = "schedules.create"
    SCHEDULES_CHANGE = "schedules.change"
    SCHEDULES_PAUSE = "schedules.pause"
    SCHEDULES_RESUME = "schedules.resume"
    SCHEDULES_DELETE = "schedules.delete"
    SCHEDULES_RUN = "schedules.run"
    ENVIRONMENTS_CREATE = "environments.create"
    ENVIRONMENTS_RETIRE = "environments.retire"
    SECRETS_SET = "secrets.set"
    SECRETS_DELETE = "secrets.delete"
    SECRETS_ROTATE = "secrets.rotate"
    EGRESS_ALLOW = "egress.allow"
    EGRESS_DENY = "egress.deny"
    TAKEOVER_OPEN = "takeover.open"
    TAKEOVER_ADOPT = "takeover.adopt"
    TAKEOVER_BACK = "takeover.back"
    TAKEOVER_FINISH = "takeover.finish"
    TAKEOVER_FOLLOW = "takeover.follow"
    DATABASE_BACKUP = "database.backup"
    DATABASE_RESTORE = "database.restore"
    DATABASE_DISTRIBUTE = "database.distribute"
    MIGRATIONS_UP = "migrations.up"
    MIGRATIONS_DOWN = "migrations.down"


def _bounded(text: str) -> str:
    return text[:_ACTOR_SIZE_MAX]


@frozen
class Actor:
    """Who acts, and from where: an owner and its address, or `user@host` and COMMAND."""

    name: str = field(converter=_bounded)
    origin: str = field(converter=_bounded)


UNNAMED = Actor("unknown", COMMAND)
"""An operator whose name is not known."""


@frozen
class Act:
    """One administrative act. Its id is a UUIDv7 with the instant of the act."""

    act_id: UUID
    actor: Actor
    name: ActName


def new_act(clock: Clock, ids: IdGenerator, actor: Actor, name: ActName) -> Act:
    """Return an act that happens now; raises StorageUnavailable while the time is unknown."""
    return Act(ids.new(clock.now()), actor, name)


@frozen
class AuditEntry:
    """The record of an act.

    `owner` is the owner whose objects the act concerns, None for migrations and backups. `subject` is the id or name of
    the object. `details` has numbers and settings by name; it never has content, such as scripts, params or results.
    `act` is a text, because a later release may know more kinds.
    """

    act_id: UUID
    actor: Actor
    act: str
    owner: Owner | None
    subject: str
    details: Mapping[str, object]

    @property
    def at(self) -> datetime:
        """The instant of the act."""
        return uuid7_time(self.act_id)


class AuditReader(Protocol):
    """Reads the audit record. Acts on the database are recorded by the repositories, in the same write as the act."""

    async def page(self, after: UUID | None, size: int) -> Page[AuditEntry]:
        """Return at most `size` entries, newest first, older than `after`.

        Raises StorageUnavailable or Overloaded.
        """
        ...


@frozen
class AuditRetention:
    """How long entries are kept, and how many of those that callers of the API have caused."""

    kept: timedelta = timedelta(days=90)
    entries_max: int = 1_000_000


@frozen
class AuditService:
    """The use case of the audit record; the time for a read is in seconds."""

    _reader: AuditReader
    _timeout_s: float

    async def page(self, after: UUID | None, size: int) -> Page[AuditEntry]:
        """Return a page of entries, newest first; raises StorageUnavailable or Overloaded."""
        return await Budget(self._timeout_s).spend(self._reader.page(after, size), StorageUnavailable)
