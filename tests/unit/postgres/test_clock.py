"""The disciplined clock."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.postgres.clock.disciplined import ClockOptions, DisciplinedClock, boottime_ns, host_time
from adapters.postgres.clock.probe import database_time
from adapters.postgres.connections.connection import Statement
from domain.errors import StorageUnavailable

START = datetime(2030, 1, 1, tzinfo=UTC)
MS = 1_000_000
S = 1000 * MS


class ManualHost:
    """A host's monotonic clock, its wall clock, and a database with a clock of its own."""

    def __init__(self, wall_off_s=0.0):
        self.true_ns = 0
        self.database_off_ns = 0
        self.wall_off_s = wall_off_s
        self.drift_ppm = 0
        self.there_ns = 0
        self.back_ns = 0
        self.failure = None

    def monotonic_ns(self):
        return 7 * S + self.true_ns + self.true_ns * self.drift_ppm // 1_000_000

    def wall(self):
        return self.database(0) + timedelta(seconds=self.wall_off_s)

    def database(self, off_ns=None):
        off_ns = self.database_off_ns if off_ns is None else off_ns
        return START + timedelta(microseconds=(self.true_ns + off_ns) // 1000)

    async def probe(self):
        self.true_ns += self.there_ns
        if self.failure is not None:
            raise self.failure
        reading = self.database()
        self.true_ns += self.back_ns
        return reading

    def pass_s(self, seconds):
        self.true_ns += round(seconds * S)

    def clock(self, **options):
        return DisciplinedClock(self.probe, ClockOptions(**options), monotonic_ns=self.monotonic_ns, wall=self.wall)


def off_ms(clock, host):
    return (clock.now() - host.database()) / timedelta(milliseconds=1)


async def contact(host, **options):
    clock = host.clock(**options)
    await clock.measure()
    assert clock.ready
    return clock


async def test_before_the_first_contact_the_clock_has_no_time_and_is_not_ready():
    host = ManualHost(wall_off_s=3600)
    clock = host.clock()
    with pytest.raises(StorageUnavailable) as caught:
        clock.now()
    assert (caught.value.stored, caught.value.executed) == ("no", "no")
    assert not clock.ready
    assert "not been read" in clock.reason
    assert clock.offset_ms is None
    assert clock.error_bound_ms is None


async def test_a_host_clock_that_is_an_hour_wrong_has_no_effect():
    host = ManualHost(wall_off_s=3600)
    clock = await contact(host)
    assert clock.now() == host.database()
    assert clock.offset_ms == pytest.approx(-3_600_000)
    assert clock.reason is None


async def test_steps_of_the_host_clock_have_no_effect():
    host = ManualHost()
    clock = await contact(host)
    for step_s in (3600, -7200, 0.5):
        host.wall_off_s += step_s
        host.pass_s(1)
        assert clock.now() == host.database()


async def test_two_hosts_whose_clocks_are_five_minutes_apart_agree():
    early, late = ManualHost(wall_off_s=-150), ManualHost(wall_off_s=150)
    early.there_ns, late.back_ns = 3 * MS, 5 * MS
    clocks = [await contact(early), await contact(late)]
    early.true_ns = late.true_ns = 60 * S
    apart_ms = abs((clocks[0].now() - clocks[1].now()) / timedelta(milliseconds=1))
    assert apart_ms <= clocks[0].error_bound_ms + clocks[1].error_bound_ms
    assert apart_ms == pytest.approx(4.0)


async def test_the_error_bound_covers_an_uneven_round_trip():
    host = ManualHost()
    host.there_ns, host.back_ns = 40 * MS, 0
    clock = await contact(host)
    assert clock.error_bound_ms == pytest.approx(20)
    assert abs(off_ms(clock, host)) <= clock.error_bound_ms


async def test_a_short_round_trip_is_kept_over_a_long_one():
    host = ManualHost()
    clock = await contact(host)
    host.pass_s(1)
    host.there_ns, host.back_ns = 300 * MS, 0
    await clock.measure()
    assert off_ms(clock, host) == pytest.approx(0)
    assert clock.error_bound_ms < 1


async def test_while_the_database_is_unavailable_the_bound_grows_until_the_clock_is_not_ready():
    host = ManualHost()
    clock = await contact(host, error_bound_ms_max=500)
    host.failure = StorageUnavailable()
    host.pass_s(1000)
    await clock.measure()
    assert clock.error_bound_ms == pytest.approx(200)
    assert clock.ready
    host.pass_s(1501)
    assert not clock.ready
    assert "500 ms" in clock.reason


async def test_a_correction_forward_applies_at_once():
    host = ManualHost()
    clock = await contact(host)
    host.database_off_ns = 200 * MS
    host.pass_s(1)
    await clock.measure()
    assert clock.ready
    assert clock.now() == host.database()


async def test_a_correction_backward_slows_the_clock_and_never_reverses_it():
    host = ManualHost()
    clock = await contact(host)
    host.database_off_ns = -200 * MS
    host.pass_s(1)
    before = clock.now()
    await clock.measure()
    assert clock.now() == before
    assert clock.error_bound_ms == pytest.approx(200, abs=1)
    host.pass_s(1)
    assert clock.now() - before == timedelta(milliseconds=900)
    host.pass_s(1)
    assert clock.now() == host.database()
    assert clock.ready


@pytest.mark.parametrize("jump_s", [0.8, 3600, -0.8, -3600])
async def test_a_jump_makes_it_not_ready_until_five_probes_in_a_row_agree(jump_s):
    host = ManualHost()
    clock = await contact(host)
    host.database_off_ns = round(jump_s * S)
    for _ in range(4):
        host.pass_s(1)
        before = clock.now()
        await clock.measure()
        assert not clock.ready
        assert f"{jump_s * 1000:.0f} ms" in clock.reason
        assert clock.now() == before
    host.pass_s(1)
    before = clock.now()
    await clock.measure()
    assert clock.ready
    assert clock.now() == (host.database() if jump_s > 0 else before)


async def test_after_a_jump_back_the_clock_stands_still_until_the_time_is_reached_again():
    host = ManualHost()
    clock = await contact(host)
    host.pass_s(1)
    last = clock.now()
    host.database_off_ns = -2 * S
    for _ in range(5):
        await clock.measure()
    assert clock.error_bound_ms == pytest.approx(2000, abs=1)
    host.pass_s(1.9)
    assert clock.now() == last
    host.pass_s(0.2)
    assert clock.now() == host.database() > last


async def test_probes_that_do_not_agree_do_not_move_it():
    host = ManualHost()
    clock = await contact(host)
    for number in range(20):
        host.pass_s(1)
        host.database_off_ns = (number + 1) * 600 * MS
        await clock.measure()
        assert not clock.ready
    assert clock.now() == host.database(0)


async def test_an_offset_that_comes_back_after_a_jump_is_kept_once_five_probes_agree():
    host = ManualHost()
    clock = await contact(host)
    host.database_off_ns = 10 * S
    await clock.measure()
    host.database_off_ns = 0
    for _ in range(4):
        host.pass_s(1)
        await clock.measure()
        assert not clock.ready
    host.pass_s(1)
    await clock.measure()
    assert clock.ready
    assert off_ms(clock, host) == pytest.approx(0)


async def test_a_failed_probe_during_doubt_changes_nothing():
    host = ManualHost()
    clock = await contact(host)
    host.database_off_ns = 10 * S
    for failure in (None, None, RuntimeError("a bug"), None, None, None):
        host.failure = failure
        host.pass_s(1)
        await clock.measure()
    assert clock.ready
    assert clock.now() == host.database()


async def test_a_slow_drift_is_followed_within_the_bound():
    host = ManualHost()
    host.drift_ppm = 150
    host.there_ns = host.back_ns = MS
    clock = await contact(host)
    for _ in range(1000):
        host.pass_s(5)
        await clock.measure()
        assert abs(off_ms(clock, host)) <= clock.error_bound_ms + 0.001
    assert clock.error_bound_ms < 10


probes = st.tuples(st.floats(0, 20), st.integers(-900, 900), st.integers(0, 300), st.integers(0, 300), st.booleans())


@given(st.lists(probes, max_size=40))
def test_it_never_goes_back_and_is_right_within_its_bound_when_ready(history):
    async def live():
        host = ManualHost()
        clock = await contact(host)
        last = clock.now()
        for pause_s, step_ms, there_ms, back_ms, fails in history:
            host.pass_s(pause_s)
            assert clock.now() >= last
            last = clock.now()
            host.database_off_ns += step_ms * MS
            host.there_ns, host.back_ns = there_ms * MS, back_ms * MS
            host.failure = StorageUnavailable() if fails else None
            await clock.measure()
            assert clock.now() >= last
            last = clock.now()
            if not fails and there_ms + back_ms == 0 and clock.ready:
                assert abs(off_ms(clock, host)) <= clock.error_bound_ms + 0.001

    asyncio.run(live())


async def run_with(host, probes_max, **options):
    """Run the clock's loop for so many probes, and return the pauses between them in seconds."""
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)
        host.pass_s(seconds)
        if len(pauses) == probes_max:
            raise asyncio.CancelledError

    clock = DisciplinedClock(
        host.probe, ClockOptions(**options), monotonic_ns=host.monotonic_ns, wall=host.wall, sleep=sleep
    )
    with contextlib.suppress(asyncio.CancelledError):
        await clock.run()
    return pauses


async def test_it_probes_often_at_first_and_every_few_seconds_later():
    pauses = await run_with(ManualHost(), 6)
    assert all(0.9 <= pause <= 1.0 for pause in pauses[:3])
    assert all(4.5 <= pause <= 5.0 for pause in pauses[3:])


@pytest.mark.parametrize("failure", [StorageUnavailable(), RuntimeError("a bug")], ids=["away", "bug"])
async def test_it_probes_every_second_while_the_database_is_unavailable(failure):
    host = ManualHost()
    host.failure = failure
    assert all(0.9 <= pause <= 1.0 for pause in await run_with(host, 20))


async def test_the_probe_runs_one_statement_within_its_time():
    asked = []

    async def fetch(statement, parameters, *, timeout_s, repeatable):
        asked.append((statement.name, parameters, timeout_s, repeatable))
        return [(START,)]

    assert await database_time(fetch, Statement("select_clock", "..."), 1.0)() == START
    assert asked == [("select_clock", {}, 1.0, False)]


def test_the_hosts_own_clocks_run_forward():
    assert boottime_ns() <= boottime_ns()
    assert host_time().tzinfo is UTC
