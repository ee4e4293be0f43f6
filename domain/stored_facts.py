"""Facts about what a database stores, as an inspection finds them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Self
from uuid import UUID

from attrs import frozen

from domain.takeover.stages import Stage


def earliest(*instants: datetime | None) -> datetime | None:
    """Return the first of some instants; None if there is none."""
    return min((each for each in instants if each is not None), default=None)


@frozen
class QueueLanguageFacts:
    """The queue of one language: entries (counted up to a bound), when the oldest was due, and executions that run."""

    language: str
    queued: int
    due_at: datetime | None
    running: int

    @classmethod
    def together(cls, parts: Iterable[Self]) -> Sequence[Self]:
        """Return one queue for each language, out of those of all buckets."""
        found: dict[str, Self] = {}
        for each in parts:
            known = found.get(each.language, cls(each.language, 0, None, 0))
            due_at = earliest(known.due_at, each.due_at)
            found[each.language] = cls(each.language, known.queued + each.queued, due_at, known.running + each.running)
        return list(found.values())


@frozen
class WebhookFacts:
    """Webhooks that were disabled because they failed, and enabled ones whose secrets follow from another WEBHOOK_KEY.

    `due_at` is since when the message that waits longest could be sent.
    """

    disabled: int = 0
    unsignable: int = 0
    due_at: datetime | None = None

    @classmethod
    def together(cls, home: Self, *buckets: Self) -> Self:
        """Return the facts of all buckets: those beside home have copies of webhooks, and messages of their own."""
        return cls(home.disabled, home.unsignable, earliest(home.due_at, *(each.due_at for each in buckets)))


@frozen
class ScheduleFacts:
    """Schedules that are late (counted up to a bound), when the first was due, and those whose timing is not known."""

    late: int
    first_due_at: datetime | None
    unreadable: int

    @classmethod
    def together(cls, parts: Sequence[Self]) -> Self:
        """Return the facts of all buckets."""
        first_due_at = earliest(*(each.first_due_at for each in parts))
        return cls(sum(each.late for each in parts), first_due_at, sum(each.unreadable for each in parts))


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
