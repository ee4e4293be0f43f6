"""What cleanup removed, and what it saw of the archive, webhooks and the queue; counts are of this process."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import define, evolve, field, frozen

from domain.scripts.language import Language


@frozen
class ArchiveStats:
    """Whether the server's last attempt to archive WAL failed, and when it last succeeded."""

    is_failing: bool
    last_archived_at: datetime | None


@frozen
class DeliveryStats:
    """Messages to webhooks that wait, counted up to 100,000, and since when the one that waits longest could be sent.

    `failing` webhooks are enabled and fail; `disabled` ones were disabled because they failed, or their receiver is
    gone. `dropped` messages were removed unsent, because they were too many for their webhook, or too old.
    """

    pending: int
    oldest_due_at: datetime | None
    failing: int
    disabled: int
    dropped: int

    @classmethod
    def together(cls, buckets: Sequence["DeliveryStats"]) -> "DeliveryStats | None":
        """Return the figures of several buckets; copies of webhooks count once, by the first one."""
        if not buckets:
            return None
        return evolve(
            buckets[0],
            pending=sum(each.pending for each in buckets),
            oldest_due_at=_earliest([each.oldest_due_at for each in buckets]),
            dropped=sum(each.dropped for each in buckets),
        )


@frozen
class QueueBacklog:
    """Executions that wait in the queue in one language, counted up to 100,000 in a bucket.

    `oldest_due_at` is since when the one that waits longest could have begun; None if none can begin.
    """

    waiting: int
    oldest_due_at: datetime | None

    @classmethod
    def together(cls, buckets: Sequence["QueueBacklog"]) -> "QueueBacklog":
        """Return the figures of several buckets."""
        return cls(sum(each.waiting for each in buckets), _earliest([each.oldest_due_at for each in buckets]))


@frozen
class CleanupFailure:
    """Every run has failed for so many seconds, the last one for this reason; `bucket` is None in a plain database."""

    seconds: float
    reason: str
    bucket: int | None = None


@define
class CleanupStats:
    """What cleanup removed; the lag is the time since the oldest session passed its retention, in seconds.

    `usage_lag_s` is the time since the admission of the last execution that was counted for its owner, or could be.
    `archive` is what cleanup saw of the server's archiving; None if the server archives no WAL. `unserved` is how many
    sessions neither side of a takeover serves; None without a takeover. `deliveries` is what cleanup saw of webhooks,
    `backlogs` of the queue of all owners, by language.
    """

    sessions_removed: int = 0
    executions_overdue: int = 0
    entries_ended: int = 0
    keys_removed: int = 0
    versions_removed: int = 0
    acts_removed: int = 0
    functions_removed: int = 0
    partitions_emptied: int = 0
    runs: int = 0
    runs_failed: int = 0
    lag_s: float | None = None
    usage_lag_s: float | None = None
    archive: ArchiveStats | None = None
    unserved: int | None = None
    deliveries_removed: int = 0
    deliveries: DeliveryStats | None = None
    backlogs: Mapping[Language, QueueBacklog] = field(factory=dict)
    last_run_at: datetime | None = None
    failures: Sequence[CleanupFailure] = ()
    """Of the last run; none if it succeeded."""

    @classmethod
    def together(cls, home: "CleanupStats", others: Sequence["CleanupStats"]) -> "CleanupStats":
        """Return the figures of several buckets: numbers added up, the greatest lag, and the earliest last run.

        Only HOME sees the archive and takeovers.
        """
        each = [home, *others]
        added: dict[str, Any] = {name: sum(getattr(one, name) for one in each) for name in _ADDED}
        lags: dict[str, Any] = {name: _greatest([getattr(one, name) for one in each]) for name in _LAGS}
        runs = [one.last_run_at for one in each]
        last_run_at = None if None in runs else min(at for at in runs if at is not None)
        deliveries = DeliveryStats.together([one.deliveries for one in each if one.deliveries is not None])
        backlogs = _backlogs_together([one.backlogs for one in each])
        return evolve(home, **added, **lags, last_run_at=last_run_at, deliveries=deliveries, backlogs=backlogs)


_ADDED = (
    "sessions_removed", "executions_overdue", "entries_ended", "keys_removed", "versions_removed", "acts_removed",
    "functions_removed", "partitions_emptied", "runs", "runs_failed", "deliveries_removed",
)  # fmt: skip
_LAGS = ("lag_s", "usage_lag_s")


def _backlogs_together(buckets: Sequence[Mapping[Language, QueueBacklog]]) -> Mapping[Language, QueueBacklog]:
    languages = {language for bucket in buckets for language in bucket}
    return {
        each: QueueBacklog.together([bucket[each] for bucket in buckets if each in bucket])
        for each in sorted(languages)
    }


def _earliest(instants: Sequence[datetime | None]) -> datetime | None:
    return min((at for at in instants if at is not None), default=None)


def _greatest(lags: Sequence[float | None]) -> float | None:
    return max((lag for lag in lags if lag is not None), default=None)
