"""A backup and its restore, as an operator makes them."""

import json
import re
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from entrypoints.cli.main import cli
from tests.integration.commands.conftest import QUIET, ROOT
from tests.integration.embedded.conftest import seed

# The test starts several servers.
pytestmark = pytest.mark.timeout(200)


def test_a_checked_backup_is_restored_after_a_yes_and_both_are_recorded(folder, made, tmp_path):
    seed(made, folder)

    def run(*arguments: str, status: int = 0) -> str:
        variables = {name: value or None for name, value in QUIET.items()}
        done = CliRunner().invoke(cli, arguments, env={**variables, "DATABASE_URL": None, "DATA_DIR": str(folder)})
        assert done.exit_code == status, done.stderr
        return done.stdout if status == 0 else done.stderr

    run("migrate", "up")
    made_file = json.loads(run("backup", str(tmp_path), "--output", "json"))
    file = Path(made_file["file"])
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert file.stat().st_mode & 0o777 == 0o600
    assert (made_file["checked"], made_file["size_bytes"]) == (True, file.stat().st_size)
    assert made_file["contents"]["api_keys"] == 0
    assert "exists, and a backup overwrites nothing" in run("backup", str(file), status=1)
    run("keys", "create", "--owner", "alice", "--scope", "admin")
    asked = run("restore", str(file), status=2)
    assert "Newer than the backup: 0 sessions, 0 executions, 1 API key. A restore loses them." in asked
    assert "Nothing was changed. To allow this, add --yes." in asked
    acts = [act["act"] for act in json.loads(run("audit", "--output", "json"))]
    assert acts[:2] == ["keys.create", "database.backup"]
    assert f"The former data folder is {folder}/postgres.old-1." in run("restore", str(file), "--yes")
    acts = [act["act"] for act in json.loads(run("audit", "--output", "json"))]
    assert acts[:2] == ["database.restore", "migrations.up"]


ROLES = re.findall(r"^```sql\n(.*?)^```$", (ROOT / "docs/backup.md").read_text(), re.DOTALL | re.MULTILINE)


def test_the_documented_role_for_reports_reads_no_content(database_url):
    (statements,) = ROLES
    with psycopg.connect(database_url) as connection:
        connection.execute(statements)
        connection.execute("SET ROLE pglambda_reader")
        connection.execute("SELECT owner, execution_count FROM meta.sessions")
        connection.execute("SELECT owner, outcome FROM meta.executions")
        for secret in ("context FROM meta.sessions", "params FROM meta.executions", "secret_hash FROM meta.api_keys"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(f"SELECT {secret}")
        connection.rollback()  # roles are those of the whole server
