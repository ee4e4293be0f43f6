"""The disciplined clock on a real server."""

from datetime import UTC, datetime, timedelta

import pytest

from adapters.postgres.clock.disciplined import DisciplinedClock
from adapters.postgres.clock.probe import database_time
from adapters.postgres.connections.connection import Statement
from adapters.postgres.gateway import Gateway, GatewayOptions
from domain.sessions.session import SessionExpired

CLOCK = Statement("select_clock", "SELECT clock_timestamp()")


async def clock_of(gateway, off):
    clock = DisciplinedClock(database_time(gateway.fetch, CLOCK, 1.0), wall=lambda: datetime.now(UTC) + off)
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
