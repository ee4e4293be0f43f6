"""The service as people start it, with authentication on, and tokens for it."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.supervisor.conftest import ROOT, Service

# Patient, because schemathesis takes one of two cores.
SETTINGS = {
    "JWT_SECRET": "a secret of the conformance suite alone",
    "REQUEST_TIMEOUT_MS": "10000",
    "QUEUE_TIMEOUT_MS": "10000",
    "LOG_LEVEL": "warning",
}


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    with tempfile.TemporaryDirectory(prefix="pglambda-conformance-") as folder:
        Path(folder).chmod(0o755)
        service = Service(Path(folder), program=("entrypoints", "serve"), **SETTINGS)
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
