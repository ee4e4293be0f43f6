"""The commands of environments on a real database."""

import json
from pathlib import Path

import pytest

from tests.integration.commands.conftest import Run

LOCK = f"six==1.17.0 --hash=sha256:{'0' * 64}\n"
INDEX = {"ENVIRONMENT_INDEX_PYTHON": "https://me:hidden@index.example.com/simple"}


@pytest.fixture
def lock(tmp_path: Path) -> str:
    path = tmp_path / "requirements.txt"
    path.write_text(LOCK)
    return str(path)


def test_a_version_is_created_listed_retired_and_recorded(run: Run, lock: str) -> None:
    refused = run("environments", "create", "data", lock)
    assert (refused.returncode, "Set ENVIRONMENT_INDEX_PYTHON" in refused.stderr) == (1, True)
    created = run("environments", "create", "data", lock, "--preload", "six", "--owner", "alice", **INDEX)
    assert (created.stdout, created.stderr) == ("Created data@1, which is queued.\n", "")
    again = run("environments", "create", "data", lock, "--preload", "six", "--owner", "alice", **INDEX)
    assert again.stdout == "data@1 has this content already, and is queued.\n"
    (listed,) = json.loads(run("environments", "list", "--output", "json").stdout)
    assert (listed["name"], listed["version"], listed["status"], listed["owners"]) == ("data", 1, "queued", ["alice"])
    assert "six==1.17.0" in run("environments", "show", "data").stdout
    assert run("environments", "retire", "data@1", "--dry-run").stdout.startswith(
        "Would retire data@1, which is queued."
    )
    assert run("environments", "retire", "data@1", "--yes").stdout.startswith("data@1 is retired.")
    acts = [each["act"] for each in json.loads(run("audit", "--output", "json").stdout)]
    assert acts[:2] == ["environments.retire", "environments.create"]
