"""Migrations up and down beside running controllers of the previous release, under load: no call fails."""

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess

import httpx2
import pytest
from attrs import define, field

from adapters.postgres.migrations.migration import Migration, load_migrations
from adapters.postgres.migrations.runner import MigrationRunner
from adapters.postgres.statements.catalogue import load_statements
from adapters.system_clock import SystemClock
from entrypoints.cli.migrate import DESTROYED
from tests.faults.history import Stored
from tests.faults.trial import USUAL, Trial
from tests.programs.supervisor.conftest import ROOT, Service, wait_until
from tests.support.folders import shared_folder
from tests.upgrade.__main__ import extract
from tests.upgrade.conftest import RELEASES

LONG = os.environ.get("DRILL") == "long"
ROUNDS = 10 if LONG else 1
CLIENTS = 16 if LONG else 12
FURTHER_SESSIONS = 200_000 if LONG else 0
TOGETHER_S = 3.0 if LONG else 1.0
"""How long controllers of both releases serve beside each other in a round."""

pytestmark = pytest.mark.timeout(900 if LONG else 120)

STEPS = load_migrations()
FIRST_BESIDE = [0, 2, 0]
"""From this release on, migrations work beside the previous release."""

PATIENT_S = 10.0
"""How long a call may wait for a worker of a busy machine: the drill judges the database, not the sandbox."""

SETTINGS = {
    "QUEUE_TIMEOUT_MS": str(round(PATIENT_S * 1000)),
    "DRAIN_DELAY_SECONDS": "1",
    "LOG_LEVEL": "error",
    "LOG_FORMAT": "json",
    "MAX_WARM_WORKERS": "32",
    "NODEJS_RUNTIME_URL": "http://127.0.0.1:9",
}
INDEX = """-- concurrently
DROP INDEX CONCURRENTLY IF EXISTS meta.by_title;
CREATE INDEX CONCURRENTLY by_title ON meta.sessions (title)"""
FILLER = Stored(count=0, closed=False, mark=None)
"""A session that no caller has made; those of callers have a mark while they are open."""

FILL = """
INSERT INTO meta.sessions (
    request_id, owner, language, title, timeout_ms, memory_mb, isolation, renewal, ttl_seconds, expires_at,
    expires_max_at, context, metadata, script, script_hash
)
SELECT
    gen_random_uuid(), 'filler', 'python', 'filler', 1000, 64, 'session', 'fixed', 86400, now() + interval '1 day',
    now() + interval '1 day', '{}', '{}', repeat('#', 500), repeat('0', 64)
FROM generate_series(1, %s)
"""


def following(latest):
    """Return further steps, as a later release may have them: columns, one of a partitioned table, a table, and an index."""
    expansions = [
        ("note", "ALTER TABLE meta.sessions ADD COLUMN note text", "ALTER TABLE meta.sessions DROP COLUMN note"),
        (
            "weight",
            "ALTER TABLE meta.executions ADD COLUMN weight integer NOT NULL DEFAULT 1",
            "ALTER TABLE meta.executions DROP COLUMN weight",
        ),
        ("notes", "CREATE TABLE meta.notes (note_id uuid PRIMARY KEY)", "DROP TABLE meta.notes"),
        ("index", INDEX, "DROP INDEX meta.by_title"),
    ]
    return [
        Migration(latest + number, name, f"-- works beside {latest:04d}\n{up};", f"{down};")
        for number, (name, up, down) in enumerate(expansions, start=1)
    ]


@pytest.fixture(scope="module")
def previous():
    """The source of the previous release and its newest migration; this tree, as long as no such release is recorded."""
    released = [each for each in RELEASES if each.numbers >= FIRST_BESIDE]
    if not released:
        yield ROOT, STEPS[-1].version
        return
    with shared_folder() as folder:
        commit = released[-1].facts["commit"]
        try:
            extract(commit, folder)
        except subprocess.CalledProcessError:
            pytest.skip(
                f"this clone lacks {commit}, the commit of release {released[-1].version}: git fetch --unshallow"
            )
        yield folder, released[-1].latest


@define
class Rotation(httpx2.AsyncBaseTransport):
    """Sends requests to the services in turn, as a load balancer does."""

    ports: list[int] = field(factory=list)
    _transport: httpx2.AsyncHTTPTransport = field(
        factory=lambda: httpx2.AsyncHTTPTransport(limits=httpx2.Limits(max_connections=64))
    )
    _turns: itertools.count = field(factory=itertools.count)

    async def handle_async_request(self, request):
        request.url = request.url.copy_with(port=self.ports[next(self._turns) % len(self.ports)])
        return await self._transport.handle_async_request(request)

    async def aclose(self):
        await self._transport.aclose()


@pytest.fixture
def serving(url, data_dir):
    """Start a controller from a source, and wait until it is ready."""
    started = []

    def begin(root):
        service = Service(data_dir, program=("entrypoints", "serve"), root=root, DATABASE_URL=url, **SETTINGS)
        started.append(service)
        wait_until(lambda: service.status("/readyz") == 200 or service.program.poll() is not None)
        assert service.program.poll() is None, service.output
        return service

    yield begin
    for service in started:
        service.end()


@pytest.fixture
def drill(server, database, url, previous, serving, stored):  # noqa: PLR0917  # fixtures, given by name
    """Apply and revert the steps since the previous release, and further ones, beside its controller under load."""

    async def run(name, further, *, rounds, upgraded):
        source, latest = previous
        newer = MigrationRunner(url, load_statements().migrations, SystemClock(), steps=[*STEPS, *further])
        await newer.down(latest, destroy=DESTROYED)
        with server.admin(database) as admin:
            admin.execute(FILL, [FURTHER_SESSIONS])
        old = await asyncio.to_thread(serving, source)
        rotation = Rotation([old.port])

        @contextlib.asynccontextmanager
        async def upgrades():
            for _ in range(rounds):
                await newer.up()
                await upgraded(rotation)
                await newer.down(latest, destroy=DESTROYED)
            yield

        def tells(callers, during_s):
            failed = [call for call in callers.calls if call.failed]
            assert not failed, f"{len(failed)} of {len(callers.calls)} calls failed: {failed[:5]}"

        patient = {"lasting_s": 0.0, "slack_s": PATIENT_S}
        trial = Trial(name, clients=CLIENTS, errors=USUAL, bites=False, tells=tells, **patient)
        async with httpx2.AsyncClient(transport=rotation, base_url="http://127.0.0.1", timeout=None) as client:
            await trial.run(client, upgrades, lambda: {key: each for key, each in stored().items() if each != FILLER})

    return run


async def test_no_call_fails_while_the_schema_goes_up_and_down(drill, serving):
    async def upgraded(rotation):
        """Let a controller of this tree serve beside the old one."""
        new = await asyncio.to_thread(serving, ROOT)
        rotation.ports.append(new.port)
        await asyncio.sleep(TOGETHER_S)
        rotation.ports.remove(new.port)
        new.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(new.ended) == 0

    name = f"migrations up and down beside the previous release ({ROUNDS} times)"
    await drill(name, following(STEPS[-1].version), rounds=ROUNDS, upgraded=upgraded)


async def test_a_step_that_takes_away_what_the_previous_release_uses_fails_the_drill(drill):
    async def upgraded(rotation):
        await asyncio.sleep(TOGETHER_S)

    rename = "ALTER TABLE meta.sessions RENAME COLUMN {} TO {};"
    breaking = Migration(
        STEPS[-1].version + 1, "broken", rename.format("title", "name"), rename.format("name", "title")
    )
    with pytest.raises(AssertionError, match="not an error that may be seen here"):
        await drill("a migration that breaks the previous release", [breaking], rounds=1, upgraded=upgraded)


def test_the_previous_release_reads_everything_but_ends_that_it_does_not_know(previous, serving):
    """docs/releasing.md says so, and what to do until all controllers are replaced."""
    source, _ = previous
    old, new = serving(source), serving(ROOT)
    headers = {"Language-Title": "python-old"}
    known, told = [
        httpx2.post(f"{new.url}/api/v1/initialize", json={"script_content": "result = 1"}, headers=headers).json()
        for _ in range(2)
    ]
    asynchronous = {"Prefer": "respond-async", "Idempotency-Key": "order-1"}
    delayed = {"async": {"delay_seconds": 60}}
    path = f"/api/v1/execute/{told['request_id']}"
    accepted = httpx2.post(f"{new.url}{path}", json=delayed, headers=asynchronous).json()["execution_id"]
    assert httpx2.post(f"{new.url}/api/v1/executions/{accepted}/cancel").json()["status"] == "cancelled"
    executed = httpx2.post(f"{old.url}/api/v1/execute/{known['request_id']}", json={}, timeout=PATIENT_S).json()
    for each, status in ((accepted, 500), (executed["execution_id"], 200)):
        assert httpx2.get(f"{old.url}/api/v1/executions/{each}").status_code == status
        assert httpx2.get(f"{new.url}/api/v1/executions/{each}").status_code == 200
    for each, status in ((told, 500), (known, 200)):
        assert httpx2.get(f"{old.url}/api/v1/sessions/{each['request_id']}/executions").status_code == status
    assert httpx2.post(f"{old.url}{path}", json={}, headers={"Idempotency-Key": "order-1"}).status_code == 500
    assert httpx2.post(f"{old.url}{path}", json={}, timeout=PATIENT_S).status_code == 200
