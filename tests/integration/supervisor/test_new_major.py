"""The commands in docs/operations.md that move the data of the embedded server to a new data folder."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.embedded.conftest import seed
from tests.integration.supervisor.conftest import ROOT, Service
from tests.integration.supervisor.test_serve import execute, initialize

TITLE = "A new major version of the embedded PostgreSQL"
SECTION = (ROOT / "docs/operations.md").read_text().partition(f"\n## {TITLE}\n")[2].partition("\n## ")[0]
COMMANDS = re.findall(r"^   ```sh\n(.*?)^   ```$", SECTION, re.DOTALL | re.MULTILINE)


def run(commands: str, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-ec", commands],
        env={**os.environ, "DATA_DIR": str(folder), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


NODEJS_ELSEWHERE = {"NODEJS_RUNTIME_URL": "http://127.0.0.1:9"}
"""A language without a sandbox on this host, which would only make the start slower."""


@contextlib.contextmanager
def serving(folder: Path, **settings: str) -> Iterator[Service]:
    service = Service(folder, program=("entrypoints", "serve"), **NODEJS_ELSEWHERE, **settings)
    try:
        yield service.ready()
    finally:
        service.end()


@pytest.mark.timeout(240)
def test_the_documented_commands_move_sessions_to_a_new_data_folder(folder, made):
    dump, away, load = COMMANDS
    seed(made, folder)
    with serving(folder) as old:
        adds = initialize(old, "python-adds", 'result = params["a"] + 1')
        assert execute(old, adds, a=1) == (2, 1)
        run(dump, folder)
    run(away, folder)
    with serving(folder, PYTHON_RUNTIME_URL="http://127.0.0.1:9"):
        run(load, folder)
    with serving(folder) as new:
        assert execute(new, adds, a=2) == (3, 2)
    assert (folder / "pglambda.dump").stat().st_mode & 0o077 == 0
