"""Rates out of what is stored, and the days for which there is room."""

from datetime import UTC, datetime, timedelta
from math import inf

import pytest

from domain.storage.growth import Growth, StorageFacts, StorageReport, days_until
from domain.storage.storage import Amount, HistoryDay, Part, Stored

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def facts(
    parts: dict[Part, Amount] | None = None,
    history: dict[int, Amount] | None = None,
    oldest: dict[Part, timedelta] | None = None,
    session_days: float | None = 2.0,
) -> StorageFacts:
    """Return facts as of noon; days and ages count back from there."""
    days = [HistoryDay(NOON.date() - age * DAY, amount) for age, amount in sorted((history or {}).items())[::-1]]
    amounts = dict.fromkeys(Part, Amount()) | (parts or {})
    return StorageFacts(
        stored=Stored(amounts, days),
        measured_at=NOON,
        oldest={part: NOON - age for part, age in (oldest or {}).items()},
        session_days=session_days,
        history_days=7,
        key_days=1.0,
    )


def growth_of(part: Part, of: StorageFacts) -> Growth:
    return StorageReport(of).growths[part]


def test_the_growth_of_a_part_is_measured_since_its_oldest_row():
    found = growth_of(Part.SESSIONS, facts({Part.SESSIONS: Amount(5000, 10)}, oldest={Part.SESSIONS: DAY / 2}))
    assert found == Growth(DAY / 2, rows_per_day=20, bytes_per_day=10_000, kept_days=2)


def test_keys_are_kept_for_a_day():
    of = facts({Part.IDEMPOTENCY_KEYS: Amount(100, 1)}, oldest={Part.IDEMPOTENCY_KEYS: DAY})
    assert growth_of(Part.IDEMPOTENCY_KEYS, of).kept_days == 1


def test_the_history_grows_by_the_mean_of_its_past_days():
    found = growth_of(Part.HISTORY, facts(history={3: Amount(300, 3), 1: Amount(600, 6), 0: Amount(9, 9)}))
    assert found == Growth(3 * DAY, rows_per_day=3, bytes_per_day=300, kept_days=7)


@pytest.mark.parametrize(("first_session", "share"), [(DAY, 0.5), (DAY / 4, 0.25)])
def test_on_its_first_day_the_history_grows_at_the_rate_so_far(first_session, share):
    found = growth_of(Part.HISTORY, facts(history={0: Amount(300, 3)}, oldest={Part.SESSIONS: first_session}))
    assert found.bytes_per_day == 300 / share


def test_a_short_span_gives_no_growth():
    of = facts({Part.SESSIONS: Amount(5000, 10)}, oldest={Part.SESSIONS: timedelta(seconds=59)})
    assert not StorageReport(of).growths


@pytest.mark.parametrize(("age", "bytes_per_day"), [(DAY / 2, None), (DAY, 49_152)])
def test_the_audit_record_has_a_growth_only_after_a_day(age, bytes_per_day):
    growths = StorageReport(facts({Part.AUDIT: Amount(49_152, 2)}, oldest={Part.AUDIT: age})).growths
    assert [each.bytes_per_day for each in growths.values()] == ([] if bytes_per_day is None else [bytes_per_day])


def test_an_empty_storage_has_no_growth():
    assert not StorageReport(facts()).growths


def until(size_max_bytes: int, stored_bytes: int, **growing: Growth) -> float | None:
    stored = facts({Part.SESSIONS: Amount(stored_bytes)}).stored
    return days_until(size_max_bytes, stored, {Part[name.upper()]: each for name, each in growing.items()})


def grows(bytes_per_day: float, kept_days: float | None = None) -> Growth:
    return Growth(DAY, 1, bytes_per_day, kept_days)


def test_a_size_that_is_reached_is_reached_now():
    assert until(100, 100, sessions=grows(1)) == 0


def test_parts_that_are_never_removed_grow_together():
    assert until(200, 100, sessions=grows(4), history=grows(6)) == 10


def test_a_part_grows_until_as_much_is_removed_as_added():
    assert until(200, 100, sessions=grows(10, kept_days=15)) is None
    assert until(140, 100, sessions=grows(10, kept_days=15)) == 4
    assert until(200, 100, sessions=grows(10, kept_days=15), history=grows(5)) == 5 + 25 / 5


def test_a_part_at_its_full_size_does_not_grow():
    assert until(200, 100, sessions=grows(10, kept_days=5), history=grows(10)) == 10


@pytest.mark.parametrize("growing", [{}, {"sessions": grows(0, 2)}])
def test_without_growth_the_size_is_never_reached(growing):
    assert until(200, 100, **growing) is None


def test_a_report_has_the_days_until_the_budget_and_until_the_disk_is_full():
    of = facts({Part.SESSIONS: Amount(100, 1)}, oldest={Part.SESSIONS: DAY}, session_days=None)
    report = StorageReport(of, budget_bytes=300, disk_free_bytes=1000)
    assert (report.days_until_budget, report.days_until_disk) == (2, 10)


def test_a_report_has_the_size_at_which_as_much_is_removed_as_added():
    of = facts({Part.SESSIONS: Amount(100, 1)}, oldest={Part.SESSIONS: DAY}, session_days=3)
    assert StorageReport(of).size_in_the_end_bytes == 300
    for_ever = facts({Part.SESSIONS: Amount(100, 1)}, oldest={Part.SESSIONS: DAY}, session_days=None)
    assert StorageReport(for_ever).size_in_the_end_bytes == inf


def test_without_a_budget_and_a_known_disk_a_report_has_no_days():
    report = StorageReport(facts())
    assert (report.days_until_budget, report.days_until_disk) == (None, None)


def test_the_facts_of_several_buckets_are_those_of_one_storage():
    one = facts({Part.SESSIONS: Amount(1, 1)}, oldest={Part.SESSIONS: DAY, Part.AUDIT: DAY}, session_days=2.0)
    other = facts({Part.SESSIONS: Amount(2, 2)}, oldest={Part.SESSIONS: 3 * DAY}, session_days=4.0)
    together = StorageFacts.together([one, other, facts(session_days=None)])
    assert together.stored.parts[Part.SESSIONS] == Amount(3, 3)
    assert together.oldest == {Part.SESSIONS: NOON - 3 * DAY, Part.AUDIT: NOON - DAY}
    assert together.session_days == 3.0
    assert StorageFacts.together([facts(session_days=None)]).session_days is None
