"""The figures of several buckets are those of one database."""

from datetime import UTC, datetime, timedelta

from domain.cleanup import CleanupStats, DeliveryStats, QueueBacklog
from domain.scripts.language import Language
from domain.stats import StorageState
from domain.storage.storage import Amount, HistoryDay, Part, ShortenedDay, StorageBudget, Stored

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
TODAY = NOON.date()
DAY = timedelta(days=1)


def state(*days: int, size_bytes: int = 1000, measured_at: datetime = NOON, shortened: int = 5) -> StorageState:
    history = [HistoryDay(TODAY - day * DAY, Amount(1)) for day in days]
    stored = Stored({Part.SESSIONS: Amount(size_bytes)}, history)
    return StorageState(measured_at, stored, [ShortenedDay(TODAY - shortened * DAY, NOON, 10)], is_exceeded=False)


def test_the_storage_of_several_buckets_has_one_budget():
    together = StorageState.together([state(shortened=6), state(measured_at=NOON - DAY)], StorageBudget(1500, 7))
    assert (together.measured_at, together.stored.size_bytes, together.is_exceeded) == (NOON - DAY, 2000, True)
    assert [each.day for each in together.shortened] == [TODAY - 6 * DAY, TODAY - 5 * DAY]


def test_a_day_that_was_removed_in_several_buckets_is_one_day_with_all_its_bytes():
    together = StorageState.together([state(), state(2)], StorageBudget(1500, 7))
    assert [(each.day, each.size_bytes) for each in together.shortened] == [(TODAY - 5 * DAY, 20)]
    assert not together.is_exceeded, "a day is left to remove"


def test_cleanups_add_up_and_the_greatest_lag_counts():
    home = CleanupStats(sessions_removed=1, runs=3, lag_s=None, usage_lag_s=4.0, unserved=2, last_run_at=NOON)
    bucket = CleanupStats(sessions_removed=2, runs=1, lag_s=5.0, usage_lag_s=1.0, last_run_at=NOON - DAY)
    together = CleanupStats.together(home, [bucket])
    assert (together.sessions_removed, together.runs, together.unserved) == (3, 4, 2)
    assert (together.lag_s, together.usage_lag_s, together.last_run_at) == (5.0, 4.0, NOON - DAY)
    assert CleanupStats.together(home, [CleanupStats()]).last_run_at is None


def test_messages_add_up_and_copies_of_webhooks_count_once():
    home = CleanupStats(deliveries=DeliveryStats(1, None, 2, 3, 4))
    bucket = CleanupStats(deliveries=DeliveryStats(10, NOON, 2, 3, 5))
    assert CleanupStats.together(home, [bucket]).deliveries == DeliveryStats(11, NOON, 2, 3, 9)
    assert CleanupStats.together(CleanupStats(), [CleanupStats()]).deliveries is None


def test_backlogs_add_up_and_the_oldest_entry_of_all_buckets_counts():
    home = CleanupStats(backlogs={Language.PYTHON: QueueBacklog(1, NOON)})
    bucket = CleanupStats(
        backlogs={Language.PYTHON: QueueBacklog(2, NOON - DAY), Language.NODEJS: QueueBacklog(0, None)}
    )
    together = {Language.PYTHON: QueueBacklog(3, NOON - DAY), Language.NODEJS: QueueBacklog(0, None)}
    assert CleanupStats.together(home, [bucket, CleanupStats()]).backlogs == together
