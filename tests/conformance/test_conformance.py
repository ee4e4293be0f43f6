"""Requests that schemathesis makes out of the document, alone and in sequences, held against the document."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs.supervisor.conftest import ROOT

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
SCOPES = ("execute:all", "read:functions", "write:functions", "write:webhooks", "write:schedules", "write:files")


def operations_in(report: str) -> int:
    """Return how many operations were asked."""
    return int(re.findall(r"Tested: +(\d+)", report)[0])


def scenarios(report: str) -> int:
    """Return how many sequences of calls were made."""
    return int(re.findall(r"Scenarios: +(\d+)", report)[0])


@pytest.mark.timeout(420)
def test_the_api_is_what_the_document_says(service, token, tmp_path):
    command = ["-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "run", f"{service.url}/openapi.json"]
    run = subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path,
        env=os.environ | {"PGLAMBDA_TOKEN": token("alice", *SCOPES), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    shown = sum(len(methods) for methods in service.get("/openapi.json").json()["paths"].values())
    assert operations_in(run.stdout) == shown, run.stdout
    assert scenarios(run.stdout) > 0, run.stdout
    assert service.program.poll() is None
    assert "internal_error" not in service.output
