"""Due times: cron expressions in every zone, intervals, single times, jitter."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from time import process_time
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.cron_calendar import CronCalendar
from domain.schedules.timing import (
    EXPRESSION_SIZE_MAX,
    Cron,
    CronTimes,
    DueTimes,
    Interval,
    Once,
    TimingRefused,
    due_times,
    instant_of,
    shift_of,
)

CALENDAR = CronCalendar()
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
NO_SHIFT = timedelta(0)
ZONES = sorted(available_timezones() - {"localtime", "Factory"})
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def due(expression: str, zone: str, after: datetime, size: int) -> list[str]:
    times, found = CALENDAR.cron_times(Cron(expression, zone)), []
    for _ in range(size):
        next_at = times.after(after)
        assert next_at is not None
        after = next_at
        found.append(after.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes"))
    return found


def berlin(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=ZoneInfo("Europe/Berlin"))


def test_a_local_time_in_the_gap_fires_once_after_it() -> None:
    assert due("30 2 * * *", "Europe/Berlin", berlin(2027, 3, 27, 12), 2) == [
        "2027-03-28T03:00+02:00",
        "2027-03-29T02:30+02:00",
    ]


def test_local_times_of_one_gap_fire_together() -> None:
    assert due("*/20 2,3 * * *", "Europe/Berlin", berlin(2027, 3, 28, 1), 3) == [
        "2027-03-28T03:00+02:00",
        "2027-03-28T03:20+02:00",
        "2027-03-28T03:40+02:00",
    ]


def test_a_local_time_that_occurs_twice_fires_the_first_time() -> None:
    assert due("30 2 * * *", "Europe/Berlin", berlin(2026, 10, 24, 12), 2) == [
        "2026-10-25T02:30+02:00",
        "2026-10-26T02:30+01:00",
    ]


def test_nothing_fires_again_while_an_hour_occurs_again() -> None:
    again = berlin(2026, 10, 25, 2, 15).replace(fold=1)
    assert due("*/20 2,3 * * *", "Europe/Berlin", again, 1) == ["2026-10-25T03:00+01:00"]


def test_local_times_that_end_are_not_due_any_more() -> None:
    class NoTimes:
        def after(self, _: datetime) -> Iterator[datetime]:
            return iter(())

    assert CronTimes(NoTimes(), UTC).after(NOW) is None


def test_every_hour_pauses_while_an_hour_occurs_again() -> None:
    assert due("0 * * * *", "Europe/Berlin", berlin(2026, 10, 25, 1, 30), 3) == [
        "2026-10-25T02:00+02:00",
        "2026-10-25T03:00+01:00",
        "2026-10-25T04:00+01:00",
    ]


def test_a_day_that_a_zone_leaves_out_fires_at_its_end() -> None:
    assert due("0 12 30 12 *", "Pacific/Apia", datetime(2011, 12, 1, tzinfo=UTC), 1) == ["2011-12-31T00:00+14:00"]


instants = st.integers(0, 4 * 10**9).map(lambda since_s: datetime.fromtimestamp(since_s, UTC))


@cache
def changes(zone: ZoneInfo, year: int) -> list[datetime]:
    """Return the instants of a year at which the offset changes."""
    hours = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(0, 366 * 24, 24)]
    days = [day for day in pairwise(hours) if len({each.astimezone(zone).utcoffset() for each in day}) > 1]
    return [change_within(*day, zone) for day in days]


def change_within(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    while high - low > SECOND:
        middle = low + (high - low) // SECOND // 2 * SECOND
        is_before = middle.astimezone(zone).utcoffset() == low.astimezone(zone).utcoffset()
        low, high = (middle, high) if is_before else (low, middle)
    return high


@st.composite
def near_changes(draw: st.DrawFn) -> tuple[ZoneInfo, datetime]:
    """A zone, and a local time within three hours of a change of its clock, or of any instant without a change."""
    zone, year = ZoneInfo(draw(st.sampled_from(ZONES))), draw(st.integers(1970, 2037))
    at = draw(st.sampled_from(changes(zone, year) or [datetime(year, 6, 1, tzinfo=UTC)]))
    wall = at.astimezone(zone).replace(tzinfo=None, fold=0, second=0, microsecond=0)
    return zone, wall + draw(st.integers(-180, 180)) * MINUTE


@given(near_changes())
def test_each_local_time_of_every_zone_has_one_instant(place: tuple[ZoneInfo, datetime]) -> None:
    zone, local = place
    at = instant_of(local, zone)
    back = at.astimezone(zone).replace(tzinfo=None, fold=0)
    candidates = {local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    exact = [each for each in candidates if each.astimezone(zone).replace(tzinfo=None, fold=0) == local]
    if exact:
        assert at == min(exact)
    else:
        assert back > local
        assert (at - SECOND).astimezone(zone).replace(tzinfo=None, fold=0) < local


@given(near_changes())
def test_a_daily_time_fires_once_for_each_local_day(place: tuple[ZoneInfo, datetime]) -> None:
    zone, local = place
    times = CALENDAR.cron_times(Cron(f"{local.minute} {local.hour} * * *", zone.key))
    wanted = [instant_of(local + timedelta(days=n), zone) for n in range(-2, 4)]
    assert between(times, wanted[0] - SECOND, wanted[-1]) == sorted(set(wanted))


def between(times: DueTimes, after: datetime, until: datetime) -> list[datetime]:
    found: list[datetime] = []
    while (next_at := times.after(after)) is not None and next_at <= until:
        assert next_at > after
        after = next_at
        found.append(next_at)
    return found


FIELD_TIMES = st.sampled_from(["*/2", "*/7", "0", "5,50", "30-40/3"])


@given(near_changes(), FIELD_TIMES, st.sampled_from(["*", "*/2", "1-3", "0,23"]))
def test_due_times_ascend_and_none_is_left_out(place: tuple[ZoneInfo, datetime], minute: str, hour: str) -> None:
    zone, local = place
    times = CALENDAR.cron_times(Cron(f"{minute} {hour} * * *", zone.key))
    start = instant_of(local, zone) - timedelta(hours=4)
    end = start + timedelta(hours=8)
    # In UTC each local time is due as it stands.
    plain = CALENDAR.cron_times(Cron(f"{minute} {hour} * * *"))
    first = (local - timedelta(hours=30)).replace(tzinfo=UTC)  # further than any change moves a clock
    walls = [each.replace(tzinfo=None) for each in between(plain, first, first + timedelta(hours=60))]
    instants_of_walls = {instant_of(each, zone) for each in walls}
    assert between(times, start, end) == sorted(at for at in instants_of_walls if start < at <= end)


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("* * * * * *", "five fields"),
        ("@daily", "five fields"),
        ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day-of-month"),
        ("* * * 13 *", "month"),
        ("* * * * 8", "day-of-week"),
        ("*/0 * * * *", "minute"),
        ("5-1 * * * *", "minute"),
        ("\u0661 * * * *", "minute"),
        ("0 0 30 2 *", "day-of-month"),
        ("0 0 */31 2 SUN#5", "never come"),
        ("1," * EXPRESSION_SIZE_MAX + "1 * * * *", "longer than 100"),
    ],
)
def test_an_expression_that_cannot_be_understood_or_never_matches_is_refused(expression: str, hint: str) -> None:
    with pytest.raises(TimingRefused) as refused:
        CALENDAR.cron_times(Cron(expression))
    assert hint in str(refused.value)


PIECES = st.text("0123456789*/-,#LWMONJA", max_size=12)


@given(st.lists(PIECES, min_size=5, max_size=5).map(" ".join) | st.text(max_size=60))
@example("* * * * 1,L")
@example("* * L/2,LW * *")
@example("0 0 */30 2 SUN#5")
def test_any_text_is_refused_or_has_due_times(expression: str) -> None:
    try:
        times = CALENDAR.cron_times(Cron(expression))
    except TimingRefused:
        return
    assert times.after(NOW) is not None


@pytest.mark.parametrize(
    "expression",
    [
        "0 0 * 2 MON#5",
        "59 23 29 2 SUN#5",
        "59 23 */29 2 SAT#5",
        "0 0 31 4,6,9,11 *",
        "59 23 LW 2 *",
        ",".join(map(str, range(30))) + " * * * *",
        ("*,*,*,*,*,*,*," * 7)[:90] + "* * * * *",
    ],
)
def test_a_costly_expression_takes_little_time(expression: str) -> None:
    began_s = process_time()
    with suppress(TimingRefused):
        due(expression, "Europe/Berlin", NOW, 5)
    assert process_time() - began_s < 0.2  # of the processor: some need 4 ms


@pytest.mark.parametrize(
    "zone",
    [
        *("", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe", "a" * 65, "UTC\0"),
        *("localtime", "right/Europe/Berlin", "posix/Europe/Berlin", "posixrules", "Factory"),
    ],
)
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(TimingRefused, match="time zone"):
        CALENDAR.cron_times(Cron("0 0 * * *", zone))


@given(instants, instants, st.integers(10, 10**6))
def test_an_interval_is_due_at_its_multiples_after_the_anchor(anchor: datetime, at: datetime, seconds: int) -> None:
    times = due_times(Interval(seconds), anchor, NO_SHIFT, CALENDAR)
    next_at = times.after(at)
    assert next_at is not None
    assert next_at > max(at, anchor)
    assert next_at - timedelta(seconds=seconds) <= max(at, anchor)
    assert (next_at - anchor) % timedelta(seconds=seconds) == NO_SHIFT


@pytest.mark.parametrize("seconds", [9, 0, -10, 366 * 86_400 + 1])
def test_an_interval_beyond_its_limits_is_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match="seconds"):
        Interval(seconds)


def test_a_single_time_is_due_once() -> None:
    times = due_times(Once(NOW), NOW, NO_SHIFT, CALENDAR)
    assert times.after(NOW - SECOND) == NOW
    assert times.after(NOW) is None


@given(st.uuids(), st.integers(0, 3600))
def test_the_shift_stays_within_the_jitter_and_is_the_same_again(schedule_id: UUID, jitter_s: int) -> None:
    shift = shift_of(schedule_id, jitter_s)
    assert NO_SHIFT <= shift <= timedelta(seconds=jitter_s)
    assert shift == shift_of(schedule_id, jitter_s)


def test_shifts_of_many_schedules_spread_over_the_jitter() -> None:
    shifts = [shift_of(UUID(int=n << 8), 60).total_seconds() for n in range(600)]
    for low in range(0, 60, 10):
        assert 60 <= sum(low <= shift < low + 10 for shift in shifts) <= 150


def test_a_shift_moves_every_due_time() -> None:
    shift = timedelta(seconds=7)
    times = due_times(Cron("0 * * * *"), NOW, shift, CALENDAR)
    assert times.after(NOW) == NOW + shift
    assert times.after(NOW + shift) == NOW + timedelta(hours=1) + shift
    assert due_times(Once(NOW), NOW, shift, CALENDAR).after(NOW + shift) is None
