"""The disciplined clock."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from attrs import fields
from hypothesis import given
from hypothesis import strategies as st

from adapters.postgres.clock.disciplined import ClockOptions, DisciplinedClock
from adapters.postgres.clock.probe import AT_HOME, DatabaseClock, NodeClock, ServerTime
from adapters.postgres.clock.samples import boottime_ns, host_time
from adapters.postgres.connections.statement import Statement
from adapters.postgres.statements.calls import ClockStatements
from domain.errors import StorageUnavailable
from domain.storage.faults import StorageFault

START = datetime(2030, 1, 1, tzinfo=UTC)
STATEMENTS = ClockStatements(*(Statement(each.name, "...") for each in fields(ClockStatements)))
MS = 1_000_000
S = 1000 * MS


class ManualServer:
    """The primary of all hosts: its timeline, and the row that says what is added to its clock."""

    def __init__(self):
        self.timeline, self.settled_timeline, self.correction = 1, 1, timedelta()
        self.refusal = None
        self.settled = []

    def read(self, at):
        added = self.correction if self.timeline == self.settled_timeline else timedelta()
        return ServerTime(at + added, self.timeline, self.settled_timeline, self.correction)

    def settle(self, time, correction):
        if self.refusal is not None:
            raise self.refusal
        if self.settled_timeline == time.settled_timeline:
            self.settled_timeline, self.correction = time.timeline, correction
            self.settled.append(correction)


class ManualHost:
    """A host's monotonic clock, its wall clock, and a database with a clock of its own."""

    def __init__(self, wall_off_s=0.0):
        self.true_ns = 0
        self.database_off_ns = 0
        self.wall_off_s = wall_off_s
        self.drift_ppm = 0
        self.there_ns = 0
        self.back_ns = 0
        self.connecting_ns = []
        """What the next reads take before they reach the database, in turn."""
        self.breaks_after = None
        self.reads = 0
        self.failure = None
        self.server = ManualServer()

    def monotonic_ns(self):
        return 7 * S + self.true_ns + self.true_ns * self.drift_ppm // 1_000_000

    def wall(self):
        return self.database(0) + timedelta(seconds=self.wall_off_s)

    def database(self, off_ns=None):
        off_ns = self.database_off_ns if off_ns is None else off_ns
        return START + timedelta(microseconds=(self.true_ns + off_ns) // 1000)

    async def read(self):
        self.reads += 1
        self.true_ns += self.there_ns + (self.connecting_ns.pop(0) if self.connecting_ns else 0)
        if self.failure is not None:
            raise self.failure
        reading = self.server.read(self.database())
        self.true_ns += self.back_ns
        if self.reads == self.breaks_after:
            self.failure = StorageUnavailable()
        return reading

    async def settle(self, time, correction):
        self.server.settle(time, correction)

    def pass_s(self, seconds):
        self.true_ns += round(seconds * S)

    def clock(self, **options):
        return DisciplinedClock(self, ClockOptions(**options), monotonic_ns=self.monotonic_ns, wall=self.wall)


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


@pytest.fixture
def two_hosts():
    """Two controllers of one primary, with time that passes for both."""
    hosts = [ManualHost(), ManualHost()]
    hosts[1].server = hosts[0].server
    return hosts


def fail_over(hosts, off_s):
    hosts[0].server.timeline += 1
    for host in hosts:
        host.database_off_ns = round(off_s * S)


def pass_s(hosts, seconds):
    for host in hosts:
        host.pass_s(seconds)


@pytest.mark.parametrize("off_s", [2, -2, 60, -60])
async def test_after_a_failover_to_another_clock_the_time_goes_on_for_all_and_none_loses_its_readiness(
    two_hosts, off_s
):
    clocks = [await contact(host) for host in two_hosts]
    pass_s(two_hosts, 5)
    fail_over(two_hosts, off_s)
    for _ in range(20):
        pass_s(two_hosts, 1)
        for clock in clocks:
            await clock.measure()
            assert clock.ready
        times = [clock.now() for clock in clocks]
        assert abs(times[0] - times[1]) < timedelta(milliseconds=10)
        assert abs(times[0] - two_hosts[0].database(0)) < timedelta(milliseconds=10)
    assert [round(clock.correction_ms) for clock in clocks] == [-off_s * 1000] * 2
    assert len(two_hosts[0].server.settled) == 1


async def test_a_server_whose_clock_is_right_needs_no_correction(two_hosts):
    clocks = [await contact(host) for host in two_hosts]
    fail_over(two_hosts, 0.1)
    for clock in clocks:
        await clock.measure()
        assert clock.ready
    assert two_hosts[0].server.settled == [timedelta()]


async def test_a_controller_that_lost_its_time_follows_the_others_and_settles_nothing(two_hosts):
    known, paused = two_hosts
    clocks = [await contact(known), await contact(paused)]
    fail_over(two_hosts, 60)
    known.pass_s(600)
    await clocks[0].measure()
    paused.database_off_ns = 660 * S
    for _ in range(5):
        assert clocks[0].ready
        await clocks[1].measure()
    assert known.server.settled == [timedelta(seconds=-60)]
    assert clocks[1].ready
    assert abs(clocks[1].now() - known.database(0)) < timedelta(milliseconds=10)


async def test_after_a_failover_each_controller_knows_the_settled_time_within_its_bound(two_hosts):
    clocks = [await contact(host) for host in two_hosts]
    fail_over(two_hosts, 60)
    two_hosts[0].there_ns = 40 * MS  # so the time that is settled differs by the half of it
    two_hosts[1].there_ns = two_hosts[1].back_ns = 30 * MS
    for host, clock in zip(two_hosts, clocks, strict=True):
        await clock.measure()
        settled_at = host.server.read(host.database()).at
        assert abs(clock.now() - settled_at) <= timedelta(milliseconds=clock.error_bound_ms)


@pytest.mark.parametrize("slow_ns", [[450 * MS], [450 * MS, 300 * MS, 400 * MS]], ids=["one", "three"])
async def test_after_a_failover_the_quickest_of_several_probes_is_settled(two_hosts, slow_ns):
    clocks = [await contact(host) for host in two_hosts]
    fail_over(two_hosts, 60)
    for host, clock in zip(two_hosts, clocks, strict=True):
        host.connecting_ns = list(slow_ns)
        await clock.measure()
        assert clock.ready
        assert abs(clock.now() - host.database(0)) < timedelta(milliseconds=10)
        assert clock.error_bound_ms < 10
    (settled,) = two_hosts[0].server.settled
    assert settled / timedelta(seconds=1) == pytest.approx(-60, abs=0.01)


@pytest.mark.parametrize(("slow_ns", "reads"), [(40 * MS, 5 + 5), (900 * MS, 4 + 4)], ids=["40 ms", "900 ms"])
async def test_probes_of_a_new_server_that_are_all_slow_are_few_and_end_after_two_seconds(slow_ns, reads):
    host = ManualHost()
    clock = await contact(host)
    fail_over([host], 60)
    host.there_ns, host.reads = slow_ns, 0
    await clock.measure()
    assert (host.reads, len(host.server.settled)) == (reads, 1), "some to settle, and as many of the settled time"
    await clock.measure()
    assert host.reads == reads + 1


async def test_a_probe_of_a_new_server_that_fails_leaves_those_before():
    host = ManualHost()
    clock = await contact(host)
    fail_over([host], 60)
    host.connecting_ns, host.breaks_after = [450 * MS], host.reads + 1
    await clock.measure()
    assert host.server.settled == [timedelta(seconds=-60, milliseconds=-225)]
    assert clock.ready


async def test_a_controller_that_starts_after_a_failover_leaves_it_to_older_ones_to_settle(two_hosts):
    older, newer = two_hosts
    old_clock = await contact(older)
    fail_over(two_hosts, 60)
    new_clock = newer.clock()
    await new_clock.measure()
    assert not new_clock.ready
    assert "no controller has said yet" in new_clock.reason
    with pytest.raises(StorageUnavailable):
        new_clock.now()
    await old_clock.measure()
    await new_clock.measure()
    assert new_clock.ready
    assert new_clock.now() == old_clock.now()


async def test_without_a_controller_that_knows_the_time_the_clock_of_the_new_server_counts():
    host = ManualHost()
    host.server.correction = timedelta(seconds=-30)
    fail_over([host], 60)
    clock = host.clock(settle_after_s=10)
    await clock.measure()
    host.pass_s(9)
    await clock.measure()
    assert not clock.ready
    host.pass_s(1)
    await clock.measure()
    assert clock.ready
    assert clock.now() == host.database()
    assert clock.correction_ms == 0


async def test_a_command_takes_the_clock_of_a_new_server_as_it_is_and_settles_nothing():
    host = ManualHost()
    fail_over([host], 60)
    clock = host.clock()
    await clock.measure(settles=False)
    assert clock.now() == host.database()
    assert host.server.settled == []


async def test_after_a_restore_the_clock_of_the_server_counts_at_once():
    host = ManualHost()
    fail_over([host], 60)
    await host.clock().settle_anew()
    clock = await contact(host)
    assert clock.now() == host.database()
    assert host.server.settled == [timedelta()]


async def test_a_new_database_is_settled_at_once():
    host = ManualHost()
    host.server.settled_timeline = None
    clock = await contact(host)
    assert clock.now() == host.database()
    assert host.server.settled == [timedelta()]


async def test_while_nothing_can_be_settled_the_time_goes_on_and_it_is_tried_each_second():
    host = ManualHost()
    clock = await contact(host)
    fail_over([host], 60)
    host.server.refusal = StorageUnavailable(stored="no")
    for _ in range(10):
        host.pass_s(1)
        await clock.measure()
        assert clock.ready
        assert clock.now() == host.database(0)
    host.server.refusal = None
    await clock.measure()
    assert host.server.settled == [timedelta(seconds=-60)]


async def test_a_new_database_that_may_only_be_read_has_the_time_of_its_server():
    host = ManualHost()
    host.server.settled_timeline, host.server.refusal = None, StorageUnavailable(stored="no")
    clock = await contact(host)
    assert clock.now() == host.database()
    assert clock.correction_ms == 0


async def test_before_the_migrations_the_clock_of_the_server_counts():
    async def fetch(statement, parameters, *, timeout_s, repeatable):
        if statement.name == "select_clock":
            raise StorageUnavailable.of(StorageFault.SCHEMA_MISSING, stored=None)
        return [(START,)]

    assert await DatabaseClock(fetch, STATEMENTS, 1.0).read() == ServerTime(START)


async def test_another_fault_of_the_database_is_raised():
    async def fetch(statement, parameters, *, timeout_s, repeatable):
        raise StorageUnavailable.of(StorageFault.RIGHT_MISSING, stored=None)

    with pytest.raises(StorageUnavailable):
        await DatabaseClock(fetch, STATEMENTS, 1.0).read()


async def test_a_standby_that_is_read_changes_nothing():
    host = ManualHost()
    clock = await contact(host)
    host.server.timeline = 0
    await clock.measure()
    assert clock.ready
    assert host.server.settled == []


async def test_while_a_correction_fades_the_bound_grows_faster():
    host = ManualHost()
    host.server.correction = timedelta(seconds=60)
    clock = await contact(host)
    host.pass_s(100)
    assert clock.error_bound_ms == pytest.approx(70)


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

    clock = DisciplinedClock(host, ClockOptions(**options), monotonic_ns=host.monotonic_ns, wall=host.wall, sleep=sleep)
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


async def test_a_jump_is_checked_within_a_second():
    class Stepping(ManualHost):
        async def read(self):
            self.database_off_ns = 10 * S if self.true_ns > 20 * S else 0
            return await super().read()

    host = Stepping()
    pauses = await run_with(host, 16)
    assert [pause < 0.25 for pause in pauses].count(True) == 4
    assert sum(pause for pause in pauses if pause < 0.25) < 1


async def test_each_statement_of_the_clock_runs_once_within_its_time():
    asked = []

    async def fetch(statement, parameters, *, timeout_s, repeatable):
        asked.append((statement.name, parameters, timeout_s, repeatable))
        return [(START, 3, 2, timedelta())]

    clock = DatabaseClock(fetch, STATEMENTS, 1.0)
    time = await clock.read()
    assert time == ServerTime(START, 3, 2, timedelta())
    await clock.settle(time, timedelta(seconds=-1.5))
    settled = {"source": 0, "known": 2, "timeline": 3, "correction_us": -1_500_000, "server_at": START}
    assert asked == [("select_clock", AT_HOME, 1.0, False), ("settle_clock", settled, 1.0, False)]


async def test_the_clock_of_another_node_is_read_there_and_its_correction_at_home():
    asked = []

    async def at_node(statement, parameters, *, timeout_s, repeatable):
        asked.append((statement.name, parameters))
        return [(START, 3, 7)]

    async def at_home(statement, parameters, *, timeout_s, repeatable):
        asked.append((statement.name, parameters))
        return [(START + timedelta(seconds=1), 3, 2, timedelta(seconds=1))]

    clock = NodeClock(DatabaseClock(at_home, STATEMENTS, 1.0), at_node, STATEMENTS.select_node_clock, 1.0)
    time = await clock.read()
    assert time == ServerTime(START + timedelta(seconds=1), 3, 2, timedelta(seconds=1), source=7)
    assert not time.is_settled
    await clock.settle(time, timedelta())
    of_node = {"source": 7, "server_at": START, "timeline": 3}
    settled = {"source": 7, "known": 2, "timeline": 3, "correction_us": 0, "server_at": time.at}
    assert asked == [("select_node_clock", {}), ("select_clock", of_node), ("settle_clock", settled)]


def test_the_hosts_own_clocks_run_forward():
    assert boottime_ns() <= boottime_ns()
    assert host_time().tzinfo is UTC
