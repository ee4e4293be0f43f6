"""Webhooks: URLs of an owner, the events that each hears of, and when one is disabled."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar
from urllib.parse import urlsplit
from uuid import UUID

from attrs import define, evolve, field, frozen
from attrs.validators import ge

from domain.errors import Conflict, NotFound, Unavailable
from domain.identity import Owner, uuid7_time

DESCRIPTION_SIZE_MAX = 1000
"""Characters."""

OVERLAP = timedelta(hours=24)
"""After a rotation the old secret signs along for so long, so that receivers can change over."""

FAILURES_MIN = 3
"""So many attempts in a row must fail within FAILURES_SPAN before a webhook counts as failing."""

FAILURES_SPAN = timedelta(hours=24)
FAILING_MAX = timedelta(days=5)
"""A webhook that has failed for so long without a success is disabled."""


class Event(StrEnum):
    """What a webhook can hear of. TEST is sent on demand only."""

    SUCCEEDED = "execution.succeeded"
    FAILED = "execution.failed"
    CANCELLED = "execution.cancelled"
    EXPIRED = "execution.expired"
    UNKNOWN = "execution.unknown"
    TEST = "webhook.test"


ENDS = frozenset(Event) - {Event.TEST}
"""The events to which a webhook can subscribe: the ends of executions."""


class DisabledReason(StrEnum):
    """Why a webhook gets nothing."""

    OWNER = "owner"
    GONE = "gone"
    FAILING = "failing"


@define(eq=False)
class WebhookNotFound(NotFound):
    """The webhook does not exist, or belongs to another owner."""

    code: ClassVar[str] = "WEBHOOK_NOT_FOUND"

    @property
    def message(self) -> str:
        return "You have no webhook with this id. GET /api/v1/webhooks lists your webhooks."


@define(eq=False)
class WebhookConflict(Conflict):
    """The webhook changes all the time, so this change found no moment."""

    code: ClassVar[str] = "CONFLICT"

    @property
    def message(self) -> str:
        return "Other calls were changing the webhook at the same time, so nothing was changed. Repeat the call."


@define(eq=False)
class WebhookDisabled(Conflict):
    """The webhook is disabled, so nothing is sent to it."""

    reason: DisabledReason
    code: ClassVar[str] = "WEBHOOK_DISABLED"

    @property
    def message(self) -> str:
        return (
            f"The webhook is disabled ({self.reason}), so nothing was sent. Enable it first: PATCH "
            '/api/v1/webhooks/{webhook_id} with {"enabled": true}'
        )


@define(eq=False)
class WebhooksUnavailable(Unavailable):
    """The installation has no key for the secrets of webhooks."""

    code: ClassVar[str] = "WEBHOOKS_UNAVAILABLE"
    stored: str | None = "no"

    @property
    def message(self) -> str:
        return (
            "Webhooks cannot be used: WEBHOOK_KEY is not set, and secrets are derived from it. Ask the operator to set "
            "it to at least 32 random bytes, the same for all controllers: openssl rand -base64 48"
        )


@frozen
class Health:
    """The attempts since the last success.

    `failures` counts them from `first_failed_at` on. `failing_since` is set once they are so many that the webhook
    counts as failing, and not as disturbed for a moment.
    """

    failures: int = 0
    first_failed_at: datetime | None = None
    failing_since: datetime | None = None

    def failed(self, now: datetime) -> "Health":
        """Return the health after one more failure."""
        first = self.first_failed_at
        if first is None or (self.failing_since is None and now - first > FAILURES_SPAN):
            return Health(1, now)
        failures = self.failures + 1
        since = self.failing_since or (now if failures >= FAILURES_MIN else None)
        return Health(failures, first, since)

    def is_dead(self, now: datetime) -> bool:
        """Return whether it has failed for too long."""
        return self.failing_since is not None and now - self.failing_since >= FAILING_MAX


@frozen
class SecretVersion:
    """Which secret signs: its version, and when it replaced the one before; `key_id` names the installation's key."""

    key_id: str
    version: int = field(default=1, validator=ge(1))
    rotated_at: datetime | None = None

    def rotate(self, key_id: str, now: datetime) -> "SecretVersion":
        """Return the next secret."""
        return SecretVersion(key_id, self.version + 1, now)

    def versions(self, now: datetime) -> tuple[int, ...]:
        """Return the versions that sign at `now`, the newest first."""
        overlaps = self.rotated_at is not None and now < self.rotated_at + OVERLAP
        return (self.version, self.version - 1) if overlaps else (self.version,)


@frozen
class Webhook:
    """A webhook. Without events it hears only of executions that name it.

    `disabled_reason` is None while it is enabled; `disabled_at` is when it was disabled. `revision` counts the changes
    of everything but the health, and `dropped` the messages that were removed unsent: too many, or too old.
    """

    webhook_id: UUID
    owner: Owner
    url: str
    events: frozenset[Event]
    secret: SecretVersion
    description: str = ""
    disabled_reason: DisabledReason | None = None
    disabled_at: datetime | None = None
    health: Health = Health()
    revision: int = 1
    dropped: int = 0

    @property
    def created_at(self) -> datetime:
        """The instant in its id."""
        return uuid7_time(self.webhook_id)

    @property
    def host(self) -> str:
        """The host and port of the URL, whose path and query often are secrets of the receiver."""
        return urlsplit(self.url).netloc

    @property
    def is_enabled(self) -> bool:
        """Whether it gets messages."""
        return self.disabled_reason is None

    def switch(self, now: datetime, *, enabled: bool) -> "Webhook":
        """Return it enabled, with no failure counted, or disabled by its owner."""
        if enabled:
            return self if self.is_enabled else evolve(self, disabled_reason=None, disabled_at=None, health=Health())
        return self if not self.is_enabled else self.disable(DisabledReason.OWNER, now)

    def disable(self, reason: DisabledReason, now: datetime) -> "Webhook":
        """Return it disabled."""
        return evolve(self, disabled_reason=reason, disabled_at=now)

    def after_success(self) -> "Webhook":
        """Return it after an attempt that succeeded."""
        return self if self.health == Health() else evolve(self, health=Health())

    def after_failure(self, now: datetime, *, is_gone: bool = False) -> "Webhook":
        """Return it after an attempt that failed: disabled if its receiver is gone, or has failed for too long."""
        failed = evolve(self, health=self.health.failed(now))
        if not self.is_enabled or not (is_gone or failed.health.is_dead(now)):
            return failed
        reason = DisabledReason.GONE if is_gone else DisabledReason.FAILING
        return evolve(failed.disable(reason, now), revision=self.revision + 1)

    def rotate(self, key_id: str, now: datetime) -> "Webhook":
        """Return it with its next secret."""
        return evolve(self, secret=self.secret.rotate(key_id, now))


@frozen
class WebhookChanges:
    """What its owner changes; None leaves a part as it is."""

    url: str | None = None
    events: frozenset[Event] | None = None
    description: str | None = None
    enabled: bool | None = None

    def apply(self, webhook: Webhook, now: datetime) -> Webhook:
        """Return the changed webhook."""
        given: Mapping[str, object] = {"url": self.url, "events": self.events, "description": self.description}
        changed = evolve(webhook, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]  # attrs' plugin cannot type the mapping
        return changed if self.enabled is None else changed.switch(now, enabled=self.enabled)
