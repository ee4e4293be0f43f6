"""Requests that schemathesis makes out of the document, alone and in sequences, held against the document."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.supervisor.conftest import ROOT

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
SCOPES = ("execute:all", "read:functions", "write:functions")


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
    assert service.program.poll() is None
    assert "internal error" not in service.said
