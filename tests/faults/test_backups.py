"""The restore drill: a backup under load, the loss of the server, a restore; and restores that are killed."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from tests.faults.report import NOTES
from tests.integration.commands.conftest import QUIET, ROOT, pglambda
from tests.integration.embedded.conftest import folder, made, seed  # noqa: F401  # fixtures
from tests.programs.supervisor.conftest import Service, gone, wait_until
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(240)

CLIENTS = 8
NODEJS_ELSEWHERE = {"NODEJS_RUNTIME_URL": "http://127.0.0.1:9"}
"""A language without a sandbox on this host, which would only make the start slower."""

INITIALIZE = {"json": {"script_content": "result = 1"}, "headers": {"Language-Title": "python-one"}}
STEPS = ("Unpacking", "Verifying checksums", "Replaying WAL", "Checking tables and indexes", "Counting what")


class Initializers:
    """Clients that initialize sessions; each acknowledged one is kept with the instants of its request and response."""

    def __init__(self, client):
        self._client = client
        self.acknowledged = {}
        self._tasks = [asyncio.create_task(self._run()) for _ in range(CLIENTS)]

    async def more(self, count):
        wanted = len(self.acknowledged) + count
        await until(lambda: len(self.acknowledged) >= wanted, 30)

    async def end(self):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self):
        while True:
            began_s = time.monotonic()
            with contextlib.suppress(httpx2.TransportError):
                response = await self._client.post("/api/v1/initialize", **INITIALIZE)
                if response.status_code == 200:
                    self.acknowledged[response.json()["request_id"]] = (began_s, time.monotonic())
            await asyncio.sleep(0.05)


def command(*arguments, **variables):
    done = pglambda(*arguments, **variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextlib.contextmanager
def serving(folder):  # noqa: F811  # the fixture's value
    service = Service(folder, program=("entrypoints", "serve"), **NODEJS_ELSEWHERE)
    try:
        yield service.ready()
    finally:
        service.end()


def kill(service):
    family = service.family()
    for pid, _ in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: gone(family))


async def backed_up_under_load(service, file, data_dir):
    """Back up while sessions are initialized, kill the service, and return the acknowledged sessions and an instant."""
    async with httpx2.AsyncClient(base_url=service.url, timeout=10) as client:
        callers = Initializers(client)
        try:
            await callers.more(50)
            began_s = time.monotonic()
            await asyncio.to_thread(command, "backup", str(file), "--no-check", "--output", "json", DATA_DIR=data_dir)
            await callers.more(50)
            await asyncio.to_thread(kill, service)
        finally:
            await callers.end()
    return callers.acknowledged, began_s


async def found(service, sessions):
    """Return which of the sessions the service has; the others are reported as not found."""
    async with httpx2.AsyncClient(base_url=service.url, timeout=10) as client:
        statuses = {each: (await client.get(f"/api/v1/sessions/{each}")).status_code for each in sessions}
    assert set(statuses.values()) <= {200, 404}
    return {each for each, status in statuses.items() if status == 200}


async def test_a_restore_has_every_session_acknowledged_before_the_end_of_the_backup(folder, made, tmp_path):  # noqa: F811
    seed(made, folder)
    file, data_dir = tmp_path / "backup.tar.gz", str(folder)
    with serving(folder) as service:
        acknowledged, began_s = await backed_up_under_load(service, file, data_dir)
    restore = ("restore", str(file), "--output", "json")
    present = await asyncio.to_thread(command, *restore, "--dry-run", DATA_DIR=data_dir)
    shutil.rmtree(folder / "postgres")
    destroyed_s = time.monotonic()
    await asyncio.to_thread(command, *restore, DATA_DIR=data_dir)
    with serving(folder) as service:
        restored_s = time.monotonic() - destroyed_s
        restored = await found(service, acknowledged)
    lost = set(acknowledged) - restored
    ended_s = max(acknowledged[each][0] for each in restored)
    assert ended_s > began_s, "the backup has nothing that was initialized while it was made"
    assert not [each for each in lost if acknowledged[each][1] < ended_s]
    # A request that the kill interrupted may be stored, and one whose id is older may be stored later.
    assert abs(present["lost"]["sessions"] - len(lost)) <= CLIENTS
    assert len(lost) >= 50 - CLIENTS
    NOTES.append(
        f"backup under load: {len(restored)} of {len(acknowledged)} acknowledged sessions are in the backup, "
        f"{len(lost)} came later; restored and ready {restored_s * 1000:.0f} ms after the loss"
    )


def killed_at(step, *arguments, number=signal.SIGKILL, **variables):
    """Start a command, send it a signal as soon as it names a step, and return its exit status."""
    process = subprocess.Popen(
        [sys.executable, "-m", "entrypoints", *arguments],
        env={**os.environ, **QUIET, **variables},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert any(line.startswith(step) for line in process.stderr), f"{step} was not named"
        process.send_signal(number)
        process.stderr.read()
    return process.returncode


def test_a_restore_that_is_killed_at_any_step_loses_nothing_and_can_be_repeated(folder, made, tmp_path):  # noqa: F811
    seed(made, folder)
    variables = {"DATA_DIR": str(folder)}
    keys = ("keys", "list", "--output", "json")
    create = ("keys", "create", "--owner", "alice", "--scope", "admin", "--output", "json")
    pglambda("migrate", "up", **variables)
    file = Path(command("backup", str(tmp_path), "--no-check", "--output", "json", **variables)["file"])
    assert file.stat().st_mode & 0o777 == 0o600
    command(*create, **variables)
    for step in STEPS:
        assert killed_at(step, "restore", str(file), "--yes", **variables) == -signal.SIGKILL
    assert len(command(*keys, **variables)) == 1
    done = command("restore", str(file), "--yes", "--output", "json", **variables)
    assert done["lost"] == {"sessions": 0, "executions": 0, "api_keys": 1}
    assert command(*keys, **variables) == []
    assert {path.name for path in folder.iterdir() if path.name.startswith("postgres.")} == {
        "postgres.log",
        "postgres.old-1",
    }
    assert [path.name for path in (folder / "scratch").iterdir()] == ["lock"]


@pytest.fixture
def _attended():
    """As in the foreground of a terminal: a suite that was started in the background ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_attended")
def test_an_interrupted_backup_leaves_no_file_that_looks_complete(folder, made, tmp_path):  # noqa: F811
    seed(made, folder)
    variables = {"DATA_DIR": str(folder)}
    partial = tmp_path / "pglambda-backup.partial"
    for step in ("Backing up", "Checking tables and indexes"):
        assert killed_at(step, "backup", str(tmp_path), number=signal.SIGINT, **variables) == 130
        assert not list(tmp_path.iterdir())
    assert killed_at("Backing up", "backup", str(tmp_path), **variables) == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == [partial]
    assert partial.stat().st_mode & 0o777 == 0o600
    file = Path(command("backup", str(tmp_path), "--no-check", "--output", "json", **variables)["file"])
    assert list(tmp_path.iterdir()) == [file]


def test_a_program_that_reads_standard_output_and_ends_is_an_error(folder, made):  # noqa: F811
    seed(made, folder)
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "entrypoints", "backup", "-"],
        env={**os.environ, **QUIET, "DATA_DIR": str(folder)},
        cwd=ROOT,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=180,
        check=False,
    )
    os.close(write)
    assert done.returncode == 1
    assert done.stderr.endswith(
        "Error: The program that reads standard output has ended, so the backup is incomplete. Correct that program.\n"
    )
