"""A service that is killed while tools install packages: they end with it, and the version is built after all."""

import contextlib
import os
import signal
from pathlib import Path

import httpx2
import pytest

from tests.faults.report import NOTES
from tests.faults.test_backups import NODEJS_ELSEWHERE
from tests.integration.embedded.conftest import folder, made, seed  # noqa: F401  # fixtures
from tests.programs.supervisor.conftest import Service, gone, wait_until
from tests.programs.supervisor.test_environments import builder_of
from tests.support.indexes import local_index

pytestmark = pytest.mark.timeout(240)

START_S = 120.0
"""A killed build is begun anew after the 30 s of its lease, on a machine that may be busy."""


@pytest.fixture
def index():
    with local_index() as index:
        yield index


@pytest.fixture
def service(folder, made, index):  # noqa: F811  # the fixtures
    seed(made, folder)
    url = f"{index.url}/simple"
    service = Service(folder, program=("entrypoints", "serve"), ENVIRONMENT_INDEX_PYTHON=url, **NODEJS_ELSEWHERE)
    try:
        yield service.ready(START_S)
    finally:
        service.end()


def status_of(service, path):
    """Return the status of a version; None while the service starts again."""
    with contextlib.suppress(httpx2.TransportError):
        return service.get(path).json().get("status")
    return None


def tools_of(service):
    """Return the processes of the sandbox of a build."""
    return {each for each in service.family() if b"inside.py" in Path(f"/proc/{each[0]}/cmdline").read_bytes()}


def test_tools_end_with_the_service_and_the_version_is_built_after_all(service, index, folder):  # noqa: F811
    lock = f"late==1.0 --hash=sha256:{index.add_wheel('late', {'late/__init__.py': b''})}"
    index.gate.clear()
    body = {"name": "data", "language": "python", "lock": lock, "preload": ["late"]}
    path = httpx2.post(f"{service.url}/api/v1/environments", json=body).headers["location"]
    wait_until(lambda: "/simple/late/" in index.asked, START_S)
    tools = tools_of(service)
    assert tools
    os.kill(builder_of(folder), signal.SIGKILL)
    wait_until(lambda: gone(tools))
    index.gate.set()
    wait_until(lambda: status_of(service, path) in {"ready", "failed"}, START_S)
    assert status_of(service, path) == "ready"
    assert not list((folder / "environments" / "building").iterdir())
    NOTES.append(f"a service killed during an installation: {len(tools)} processes of tools ended with it; built again")
