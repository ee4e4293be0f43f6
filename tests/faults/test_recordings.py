"""A rehearsal that is killed before and after each of its writes, and a server that crashes during a recording."""

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.repositories.recordings import PostgresRecordingStore
from adapters.postgres.repositories.takeover import PostgresTakeoverStore
from adapters.postgres.statements.catalogue import load_statements
from domain.takeover.recording import Recorded, RecordedCounts
from tests.contracts.recording_store import LIMITS, NOTHING, call_of
from tests.contracts.takeover_store import inbound, receive, takeover_of
from tests.faults import report
from tests.faults.mortal_rehearsal import CALLS, LIVES, rehearse
from tests.integration.postgres.conftest import storage_on

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
STEPS_MAX = 30
STORED = """
    SELECT
        (SELECT count(*) FROM meta.recorded_calls), (SELECT count(judgement) FROM meta.recorded_calls),
        (SELECT count(*) FROM meta.sessions) + (SELECT count(*) FROM meta.executions)
"""


@pytest.fixture
async def stores(url):
    """A takeover with copies, and what records their calls."""
    statements, gateway = load_statements(), Gateway(GatewayOptions(url, request_timeout_s=10))
    await gateway.open()
    storage, takeovers = storage_on(gateway, statements), PostgresTakeoverStore(gateway, statements.takeover)
    await takeovers.begin(takeover_of(storage))
    await receive(takeovers, *[inbound(storage, number) for number in range(CALLS)])
    yield storage, PostgresRecordingStore(gateway, statements.recordings)
    await gateway.close()


def is_killed(step: int, url: str) -> bool:
    """Run a rehearsal in a process of its own, and return whether it was killed."""
    argv = [sys.executable, "-m", "tests.faults.mortal_rehearsal", str(step), url]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


async def test_a_rehearsal_that_is_killed_at_a_write_is_completed_by_the_next_one(stores, url):
    kills = 0
    for step in range(STEPS_MAX):
        if not is_killed(step, url):
            break
        kills += 1
        with psycopg.connect(url) as connection:
            calls, judged, executed = connection.execute(STORED).fetchone()
        assert (calls in {0, CALLS}, judged in {0, 16, CALLS}, executed) == (True, True, 0)
        # It records anew, and runs what was not run yet: the calls that were judged are not run again.
        waiting = calls - judged + CALLS
        assert await rehearse(LIVES, url) == {"judged": waiting, "runs": 2 * waiting, "removed": calls + CALLS}
    assert kills == 12
    report.NOTES.append(
        f"rehearsals, killed before and after each write: {kills} kills; no call was judged twice or left"
    )


async def test_a_crash_of_the_server_loses_recorded_calls_and_not_the_recording(stores, server):
    storage, recordings = stores
    until = storage.clock.now() + timedelta(minutes=1)
    await recordings.start(storage.clock.now(), until)
    await recordings.record([call_of(storage, 1)], NOTHING, LIMITS)
    assert (await recordings.counts()).calls == 1
    server.kill()
    server.start()
    assert (await recordings.recording()).until == until
    assert await recordings.counts() == RecordedCounts(0, 0, 0)
    assert await recordings.record([call_of(storage, 2)], NOTHING, LIMITS) == Recorded(until)
    assert (await recordings.counts()).calls == 1
