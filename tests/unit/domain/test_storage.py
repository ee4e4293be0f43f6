"""What a size budget makes of what is stored."""

from datetime import UTC, date, datetime, timedelta

import pytest

from domain.storage.storage import Amount, HistoryDay, Part, ShortenedDay, StorageBudget, Stored

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
TODAY = NOON.date()
DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


def stored(*days: date, size_bytes: int = 1000) -> Stored:
    """Return what has so many bytes, on these days of the history among others."""
    return Stored({Part.SESSIONS: Amount(size_bytes)}, [HistoryDay(day, Amount(1)) for day in days])


def test_amounts_add_up():
    assert Amount(1, 2) + Amount(10, 20) == Amount(11, 22)
    assert Stored({Part.SESSIONS: Amount(1), Part.HISTORY: Amount(2)}, []).size_bytes == 3


def test_the_days_of_the_history_count_from_its_oldest_day():
    assert stored(TODAY - 2 * DAY, TODAY).history_days(NOON) == 3
    assert stored().history_days(NOON) == 0


@pytest.mark.parametrize(("size_max_bytes", "exceeded"), [(None, False), (999, True), (1000, False)])
def test_a_budget_is_exceeded_above_its_maximum(size_max_bytes, exceeded):
    budget = StorageBudget(size_max_bytes, 7)
    assert budget.exceeded(stored()) is exceeded


def test_the_oldest_day_is_removed_first():
    found = StorageBudget(1, 7).day_to_shorten(stored(TODAY - 3 * DAY, TODAY - DAY, TODAY), NOON)
    assert found is not None
    assert found.day == TODAY - 3 * DAY


def test_within_the_budget_no_day_is_removed():
    assert StorageBudget(1000, 7).day_to_shorten(stored(TODAY - 3 * DAY), NOON) is None


def test_the_history_of_today_is_never_removed():
    assert StorageBudget(1, 7).day_to_shorten(stored(TODAY, TODAY + DAY), NOON) is None


@pytest.mark.parametrize(("after_midnight", "goes"), [(timedelta(hours=1) - MOMENT, False), (timedelta(hours=1), True)])
def test_yesterdays_history_stays_while_its_executions_may_end(after_midnight, goes):
    midnight = datetime(2026, 11, 10, tzinfo=UTC)
    found = StorageBudget(1, 7).day_to_shorten(stored(TODAY - DAY), midnight + after_midnight)
    assert (found is not None) is goes


@pytest.mark.parametrize(
    ("before_midnight", "goes"), [(timedelta(hours=1) + MOMENT, True), (timedelta(hours=1), False)]
)
def test_a_day_whose_partition_is_used_next_is_left_to_retention(before_midnight, goes):
    midnight = datetime(2026, 11, 11, tzinfo=UTC)
    found = StorageBudget(1, 7).day_to_shorten(stored(midnight.date() - 32 * DAY), midnight - before_midnight)
    assert (found is not None) is goes


def test_days_past_retention_do_not_count_as_shortened():
    days = [ShortenedDay(TODAY - age * DAY, NOON, 1) for age in (8, 7, 1)]
    assert [each.day for each in StorageBudget(1, 7).missing_days(days, NOON)] == [TODAY - 7 * DAY, TODAY - DAY]


def test_what_several_buckets_have_stored_adds_up_part_by_part_and_day_by_day():
    one, other = stored(TODAY - DAY, TODAY, size_bytes=3), stored(TODAY - 2 * DAY, TODAY, size_bytes=4)
    together = Stored.together([one, other])
    assert together.size_bytes == 7
    assert [(each.day, each.amount.size_bytes) for each in together.history] == [
        (TODAY - 2 * DAY, 1), (TODAY - DAY, 1), (TODAY, 2),
    ]  # fmt: skip


@pytest.mark.parametrize(("oldest_elsewhere", "goes"), [(3, True), (2, True), (4, False), (0, True)])
def test_a_budget_counts_all_buckets_and_removes_the_oldest_day_of_all_first(oldest_elsewhere, goes):
    budget, here = StorageBudget(1500, 7), stored(TODAY - 3 * DAY)
    elsewhere = [stored(TODAY - oldest_elsewhere * DAY), stored()]
    assert budget.day_to_shorten(here, NOON) is None
    assert (budget.day_to_shorten(here, NOON, elsewhere) is not None) is goes
    assert budget.day_to_shorten(stored(TODAY), NOON, elsewhere) is None
