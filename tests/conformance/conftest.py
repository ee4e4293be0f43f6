"""The service as people start it, with authentication on, and tokens for it."""

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.programs.supervisor.conftest import ROOT, Service
from tests.support.folders import shared_folder

# Patient, because schemathesis takes one of two cores.
SETTINGS = {
    "JWT_SECRET": "a secret of the conformance suite alone",
    "REQUEST_TIMEOUT_MS": "10000",
    "QUEUE_TIMEOUT_MS": "10000",
    "LOG_LEVEL": "warning",
}


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    with shared_folder() as folder:
        service = Service(folder, program=("entrypoints", "serve"), **SETTINGS)
        try:
            yield service.ready()
        finally:
            service.end()


@pytest.fixture(scope="session")
def token() -> Callable[..., str]:
    def make(owner: str, *scopes: str) -> str:
        asked = [f"--scope={scope}" for scope in scopes]
        made = subprocess.run(
            [sys.executable, "-m", "entrypoints", "token", f"--owner={owner}", *asked],
            cwd=ROOT,
            env=SETTINGS | {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "DATA_DIR": "/nonexistent"},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return made.stdout.strip()

    return make
