"""Facts about what a database stores, as an inspection finds them."""

from datetime import datetime
from uuid import UUID

from attrs import frozen

from domain.takeover.stages import Stage


@frozen
class QueueLanguageFacts:
    """The queue of one language: entries (counted up to a bound), when the oldest was due, and executions that run."""

    language: str
    queued: int
    due_at: datetime | None
    running: int


@frozen
class WebhookFacts:
    """Webhooks that were disabled because they failed, and enabled ones whose secrets follow from another WEBHOOK_KEY.

    `due_at` is since when the message that waits longest could be sent.
    """

    disabled: int = 0
    unsignable: int = 0
    due_at: datetime | None = None


@frozen
class ScheduleFacts:
    """Schedules that are late (counted up to a bound), when the first was due, and those whose timing is not known."""

    late: int
    first_due_at: datetime | None
    unreadable: int


@frozen
class TakeoverFacts:
    """Sessions that neither side of a takeover serves, its stage, and until when a command holds it."""

    unserved: int
    stage: Stage
    stage_at: datetime
    held_until: datetime | None


@frozen
class RecordingFacts:
    """Calls of the origin's clients that are stored for a rehearsal, and until when fronts record, if they do."""

    calls: int
    oldest_at: datetime | None
    until: datetime | None


@frozen
class Contents:
    """What a database holds: sessions, executions in the history, versions of functions, and API keys.

    `newest_id` is the UUIDv7 of the newest session, execution or key; None if there is none. The numbers of what is
    newer count those with a greater id than the one that was given. `foreign_sessions` are those whose ids do not show
    when they were stored, because another service made them; they do not count as newer.
    """

    sessions: int
    executions: int
    functions: int
    api_keys: int
    newest_id: UUID | None
    newer_sessions: int
    newer_executions: int
    newer_api_keys: int
    foreign_sessions: int = 0


@frozen
class AccessFacts:
    """The number of sessions of `anonymous` (counted up to a bound), and of API keys that are valid.

    Of these, `keys_expiring` end soon, and `keys_unused` have not been used for long.
    """

    anonymous_sessions: int
    api_keys: int
    keys_expiring: int = 0
    keys_unused: int = 0
