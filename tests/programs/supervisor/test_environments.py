"""Packages from an index to a script: the service builds an environment, and sessions import what it has."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.integration.embedded.conftest import seed
from tests.programs.supervisor.conftest import Service, wait_until
from tests.support.folders import quick_parent, shared_folder
from tests.support.indexes import LocalIndex, local_index, needs_uv

_START_S = 120.0
"""Four processes start, with a sandbox, on a machine that may be busy."""

pytestmark = [pytest.mark.timeout(120), needs_uv]


@pytest.fixture(scope="module")
def index() -> Iterator[LocalIndex]:
    with local_index() as index:
        yield index


@pytest.fixture(scope="module")
def data_dir(made: Path) -> Iterator[Path]:
    with shared_folder(quick_parent()) as folder:
        seed(made, folder)
        yield folder


@pytest.fixture(scope="module")
def service(data_dir: Path, index: LocalIndex) -> Iterator[Service]:
    """A service of two HTTP workers, whose scripts run in a process that they share."""
    urls = {"ENVIRONMENT_INDEX_PYTHON": f"{index.url}/simple", "ENVIRONMENT_INDEX_NODEJS": index.url}
    service = Service(data_dir, program=("entrypoints", "serve"), WEB_CONCURRENCY="2", **urls)
    try:
        yield service.ready(_START_S)
    finally:
        service.end()


def created(service: Service, **fields: object) -> str:
    """Create a version, wait for its end, and return its path."""
    response = httpx2.post(f"{service.url}/api/v1/environments", json=fields)
    assert response.status_code == 202, response.text
    path = response.headers["location"]
    wait_until(lambda: service.get(path).json()["status"] in ("ready", "failed"))
    return path


def execute(service: Service, title: str, script: str, environment: str) -> httpx2.Response:
    """Return the response to an execution of a new session."""
    body = {"script_content": script, "environment": environment}
    session = httpx2.post(f"{service.url}/api/v1/initialize", json=body, headers={"Language-Title": title})
    assert session.status_code == 200, session.text
    return httpx2.post(f"{service.url}/api/v1/execute/{session.json()['request_id']}", json={})


def test_a_script_of_python_imports_what_an_environment_has(service: Service, index: LocalIndex) -> None:
    digest = index.add_wheel("pure", {"pure/__init__.py": b"VALUE = 42\n", "json.py": b"raise SystemExit\n"})
    path = created(service, name="data", language="python", lock=f"pure==1.0 --hash=sha256:{digest}", preload=["pure"])
    (build,) = service.get(path).json()["builds"].values()
    assert build["status"] == "ready", build
    assert build["preload_cpu_ms"] >= 0
    response = execute(service, "python-x", "import json, pure\nresult = json.dumps([pure.VALUE])", "data")
    assert response.json()["result"] == "[42]", response.text


def test_a_script_of_node_requires_what_an_environment_has(service: Service, index: LocalIndex) -> None:
    integrity = index.add_package("adder", {"index.js": "module.exports = (a, b) => a + b"})
    lock = (
        '{"lockfileVersion": 3, "packages": {"": {"dependencies": {"adder": "1.0.0"}}, '
        f'"node_modules/adder": {{"version": "1.0.0", "integrity": "{integrity}"}}}}}}'
    )
    path = created(service, name="web", language="nodejs", lock=lock, preload=["adder"])
    (build,) = service.get(path).json()["builds"].values()
    assert build["status"] == "ready", build
    response = execute(service, "nodejs-x", "return require('adder')(20, 22)", "web@1")
    assert response.json()["result"] == 42, response.text


def builder_of(folder: Path) -> int | None:
    """Return the id of the process that builds on this host: it has a lock on the folder of builds."""
    number = (folder / "environments" / "building").stat().st_ino
    lock = re.search(rf"FLOCK +ADVISORY +WRITE (\d+) \S+:{number} ", Path("/proc/locks").read_text())
    return None if lock is None else int(lock[1])


def test_one_http_worker_builds_and_another_one_takes_its_place(
    service: Service, index: LocalIndex, data_dir: Path
) -> None:
    builder = wait_until(lambda: builder_of(data_dir))
    os.kill(builder, signal.SIGKILL)
    assert wait_until(lambda: (found := builder_of(data_dir)) != builder and found)
    digest = index.add_wheel("late", {"late/__init__.py": b""})
    path = created(service, name="late", language="python", lock=f"late==1.0 --hash=sha256:{digest}", preload=["late"])
    assert service.get(path).json()["status"] == "ready"


def test_a_build_that_fails_says_why_and_serves_no_session(service: Service, index: LocalIndex) -> None:
    index.add_wheel("pure", {"pure/__init__.py": b""})
    path = created(service, name="bad", language="python", lock=f"pure==1.0 --hash=sha256:{'0' * 64}")
    (build,) = service.get(path).json()["builds"].values()
    assert build["status"] == "failed"
    assert "0" * 64 in build["log"]
    body = {"script_content": "result = 1", "environment": "bad"}
    refused = httpx2.post(f"{service.url}/api/v1/initialize", json=body, headers={"Language-Title": "python-x"})
    assert (refused.status_code, refused.json()["error"]["details"]["status"]) == (409, "failed")
