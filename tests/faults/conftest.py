"""The suite's server, a database of its own for every fault, and the table at the end."""

import asyncio
import contextlib
import logging
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from uuid import UUID, uuid4

import httpx2
import pytest
import structlog

from adapters.memory.script_runner import MemoryRunnerOptions, MemoryScriptRunner
from adapters.postgres.migrations.runner import MigrationRunner
from adapters.postgres.statements.catalogue import load_statements
from adapters.system_clock import SystemClock
from domain.scripts.language import Language
from entrypoints.composition.controller import Controller
from entrypoints.composition.runners import Runners
from entrypoints.settings.loading import load_settings
from tests.faults import report
from tests.faults.history import Stored
from tests.faults.mortal import Mortal, application_of
from tests.faults.proxy import Proxy
from tests.faults.server import SERVICE_ROLE, execute, running_server
from tests.support.folders import shared_folder

QUICK = {"REQUEST_TIMEOUT_MS": "1000", "QUEUE_TIMEOUT_MS": "100", "LOG_LEVEL": "error"}
TABLESPACE_MIB = 96
LONGEST = "test_takeover.py"
_STORED = "SELECT request_id, execution_count, closed_at IS NOT NULL, context::jsonb -> 'mark' FROM meta.sessions"


def pytest_collection_modifyitems(items):
    """Begin with the longest file, so that no process of pytest-xdist is left with it alone in the end."""
    items.sort(key=lambda item: item.path.name != LONGEST)


def pytest_sessionfinish(session):
    """Hand what a process of pytest-xdist has measured to the one that reports."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["faults"] = report.measured()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    report.add(*getattr(node, "workeroutput", {}).get("faults", ([], [])))


def pytest_terminal_summary(terminalreporter):
    if report.ROWS or report.NOTES:
        terminalreporter.section("faults")
        for line in (*report.lines(), *report.NOTES):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def quiet_logs():
    """Log errors only: thousands of calls are made, and many are meant to fail."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def server():
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def template(server):
    """The name of a migrated database without data, to be cloned."""
    name = server.create_database("migrated")
    runner = MigrationRunner(server.dsn(name, SERVICE_ROLE), load_statements().migrations, SystemClock())
    asyncio.run(runner.up())
    return name


@pytest.fixture
def database(server, template):
    """The name of a migrated database of the test's own."""
    name = server.create_database(f"fault_{uuid4().hex}", template)
    yield name
    server.drop_database(name)


@pytest.fixture
def small_tablespace(server):
    """The folder of a tablespace on a small file system."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small file system can be mounted by root only")
    folder = Path(tempfile.mkdtemp(prefix="pgl-", dir="/tmp"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={TABLESPACE_MIB}m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        folder.rmdir()
        pytest.skip("a small file system cannot be mounted here")
    server.adopt(folder)
    folder.chmod(0o700)
    execute(server, "postgres", f"CREATE TABLESPACE small LOCATION '{folder}'")
    yield folder
    execute(server, "postgres", "DROP TABLESPACE small")
    subprocess.run(["umount", str(folder)], check=True)
    folder.rmdir()


@pytest.fixture
async def proxy(server):
    """A proxy in front of the server."""
    proxy = await Proxy("127.0.0.1", server.port).start()
    yield proxy
    await proxy.stop()


@pytest.fixture
async def proxies(server):
    """A proxy to the database for each controller."""
    proxies = [await Proxy("127.0.0.1", server.port).start() for _ in range(2)]
    yield proxies
    for proxy in proxies:
        await proxy.stop()


@pytest.fixture(scope="session")
def data_dir():
    """A folder that workers of another user can reach, which pytest's own are not for root."""
    with shared_folder() as folder:
        yield folder


@pytest.fixture
def settings_for(data_dir):
    def load(url, **variables):
        return load_settings({"DATABASE_URL": url, "DATA_DIR": str(data_dir), **variables})

    return load


@pytest.fixture
def stored_in(server):
    """Return a reader of what a database holds in the end, which asks past the proxy."""

    return lambda name, on=server: lambda: _read(on, name)


def _read(server, name):
    with server.admin(name) as admin:
        rows = admin.execute(_STORED).fetchall()
    return {str(UUID(str(row[0]))): Stored(*row[1:]) for row in rows}


@pytest.fixture
def stored(stored_in, database):
    return stored_in(database)


@contextlib.asynccontextmanager
async def serving(settings, *, sandboxed=False):
    """Yield a client of the controller, in this process; without a sandbox, scripts run in this process too."""
    controller = Controller(settings=settings)
    if not sandboxed:
        runner = MemoryScriptRunner(MemoryRunnerOptions(workers_max=64, queue_max=64))
        controller.runners.override(Runners(None, None, dict.fromkeys(Language, runner)))
    application = controller.application()
    async with application.running():
        transport = httpx2.ASGITransport(app=application)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=None) as client:
            yield client


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def url(server, database):
    return server.dsn(database, SERVICE_ROLE)


@pytest.fixture
def mortals(data_dir, runs):
    """Start controllers that die at a step, or live."""
    started = []

    def begin(url, kill_at=None, **more):
        variables = {"DATABASE_URL": url, "DATA_DIR": str(data_dir), **QUICK, **more}
        started.append(Mortal(variables, runs, kill_at))
        return started[-1]

    yield begin
    for each in started:
        each.kill()


@pytest.fixture
async def survivor(settings_for, url, runs):
    """A client of another controller, in this process."""
    application = application_of(settings_for(url, **QUICK), runs)
    async with application.running():
        transport = httpx2.ASGITransport(app=application)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=None) as client:
            yield client
