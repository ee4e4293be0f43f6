"""The command `doctor` beside the embedded server that it starts, and as a program of another user."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from entrypoints.composition.commands import Commands
from entrypoints.server.database import running
from entrypoints.settings.loading import load_settings
from tests.integration.commands.conftest import ROOT, pglambda
from tests.support.folders import shared_folder
from tests.support.programs import unmeasured


def test_the_command_starts_the_embedded_server_and_uses_its_password() -> None:
    with shared_folder() as folder:
        settings = load_settings({"DATA_DIR": str(folder)})
        with running(Commands(settings=settings).embedded_postgres()) as url:
            pgpass = folder / "wrong"
            pgpass.write_text("*:*:*:*:wrong\n")
            pgpass.chmod(0o600)
            wrong = url.replace(str(folder / "pgpass").replace("/", "%2F"), str(pgpass).replace("/", "%2F"))
            result = pglambda("doctor", DATABASE_URL=wrong, DATA_DIR=str(folder))
        assert result.returncode == 1
        assert "no connection (login): " in result.stdout
        assert "password authentication failed" in result.stdout
        alone = pglambda("doctor", DATABASE_URL="", DATA_DIR=str(folder))
        assert alone.returncode == 0, alone.stdout
        assert "migrations are pending: 0001_sessions" in alone.stdout
        assert not (folder / "postgres" / "postmaster.pid").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_than_the_services_is_one_problem(tmp_path: Path) -> None:
    with shared_folder() as folder:
        result = subprocess.run(
            [sys.executable, "-m", "entrypoints", "doctor", "--output", "json"],
            env={**unmeasured(), "DATA_DIR": str(folder), "DATABASE_URL": "", "PYTHONDONTWRITEBYTECODE": "1"},
            user=65534,
            group=65534,
            extra_groups=[],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
    assert result.returncode == 1, result.stderr
    found = json.loads(result.stdout)["findings"]
    (problem,) = [each for each in found if each["status"] == "problem"]
    assert problem["seen"].startswith(f"DATA_DIR {folder} belongs to root, and this command runs as ")
    assert {each["subject"] for each in found} == {"user", "access"}
