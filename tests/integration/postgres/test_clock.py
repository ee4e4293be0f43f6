"""The disciplined clock on a real server."""

from datetime import UTC, datetime, timedelta

import pytest

from adapters.postgres.clock.disciplined import DisciplinedClock
from adapters.postgres.clock.probe import DatabaseClock
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.statements.catalogue import load_statements
from domain.sessions.session import SessionExpired

CLOCK = load_statements().clock
PATIENT_S = 10.0
"""A busy machine may take a while to run a statement."""


async def clock_of(gateway, off):
    clock = DisciplinedClock(DatabaseClock(gateway.fetch, CLOCK, 1.0), wall=lambda: datetime.now(UTC) + off)
    for _ in range(3):
        await clock.measure()
    return clock


async def test_controllers_whose_clocks_are_five_minutes_apart_agree_on_the_time(database_url):
    gateway = Gateway(GatewayOptions(database_url))
    await gateway.open()
    early = await clock_of(gateway, timedelta(minutes=-2.5))
    late = await clock_of(gateway, timedelta(minutes=2.5))
    # The bounds first: they shrink while a correction backward is being made.
    bound = timedelta(milliseconds=early.error_bound_ms + late.error_bound_ms)
    before, between, after = early.now(), late.now(), early.now()
    await gateway.close()
    assert early.ready
    assert late.ready
    assert before - bound <= between <= after + bound
    assert late.offset_ms - early.offset_ms < -299_000


@pytest.mark.parametrize(
    ("left", "live"),
    [(timedelta(minutes=1), True), (timedelta(minutes=-1), False)],
    ids=["a minute before its end", "a minute after its end"],
)
async def test_controllers_whose_clocks_are_five_minutes_apart_agree_on_the_expiry_of_one_session(
    gateway, storage, left, live
):
    early = await clock_of(gateway, timedelta(minutes=-2.5))
    late = await clock_of(gateway, timedelta(minutes=2.5))
    expires_at = early.now() + left
    session = await storage.add(expires_at=expires_at, expires_max_at=expires_at)

    async def is_live(clock):
        stored = await storage.sessions.get(session.ref)
        try:
            stored.require_live(clock.now())
        except SessionExpired:
            return False
        return True

    assert (await is_live(early), await is_live(late)) == (live, live)


class Failover:
    """Two statements of the clock, until a failover of the server, and after one to a server whose clock is off."""

    def __init__(self):
        self.select_clock, self.settle_clock = CLOCK.select_clock, CLOCK.settle_clock

    def to_a_clock_that_is_off(self, off, timeline):
        text = CLOCK.select_clock.sql.replace("clock_timestamp()", f"clock_timestamp() + interval '{off}'")
        text = text.replace("::bit(32)::integer", f"::bit(32)::integer + {timeline}")
        self.select_clock = Statement("select_clock", text, prepare=False)


@pytest.mark.parametrize("off", ["2 seconds", "-2 seconds", "60 seconds", "-60 seconds"])
async def test_after_a_failover_to_another_clock_two_controllers_judge_sessions_as_before(gateway, storage, off):
    statements = Failover()
    clocks = [DisciplinedClock(DatabaseClock(gateway.fetch, statements, PATIENT_S)) for _ in range(2)]
    for clock in clocks * 3:  # the quickest probe counts: after one of a second they would be too far apart
        await clock.measure()
    expires_at = clocks[0].now() + timedelta(seconds=30)
    session = await storage.add(expires_at=expires_at, expires_max_at=expires_at)
    ended = await storage.add(expires_at=clocks[0].now(), expires_max_at=clocks[0].now())
    statements.to_a_clock_that_is_off(off, timeline=1)
    for clock in [*clocks, *clocks]:
        await clock.measure()
        assert clock.ready
        (await storage.sessions.get(session.ref)).require_live(clock.now())
        with pytest.raises(SessionExpired):
            (await storage.sessions.get(ended.ref)).require_live(clock.now())
    bound = timedelta(milliseconds=sum(clock.error_bound_ms for clock in clocks))
    first, second, third = clocks[0].now(), clocks[1].now(), clocks[0].now()
    assert first - bound <= second <= third + bound
    assert clocks[0].correction_ms == pytest.approx(clocks[1].correction_ms, abs=100)
    (row,) = await gateway.fetch(Statement("select_kept", "SELECT timeline, correction_us FROM meta.clock"), {})
    assert row[1] / 1000 == pytest.approx(clocks[0].correction_ms, abs=100)


async def test_a_correction_fades_by_500_microseconds_a_second_and_ends(gateway):
    await clock_of(gateway, timedelta())
    ago = Statement(
        "settle_past",
        "UPDATE meta.clock SET correction_us = -60000000,"
        " settled_at = clock_timestamp() - make_interval(secs => %(seconds)s::double precision)",
    )
    for seconds, left in ((0, -60.0), (1000, -59.5), (60_000, -30.0), (120_000, 0.0), (500_000, 0.0)):
        await gateway.fetch(ago, {"seconds": seconds})
        time = await DatabaseClock(gateway.fetch, CLOCK, PATIENT_S).read()
        assert time.correction / timedelta(seconds=1) == pytest.approx(left, abs=0.01)
        assert (time.at - datetime.now(UTC)) / timedelta(seconds=1) == pytest.approx(left, abs=0.5)
