"""Records a release: `python -m tests.upgrade VERSION [COMMIT]` serves its source, makes calls, and dumps its database."""

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from adapters.embedded_postgres.programs import find_programs
from tests.programs.supervisor.conftest import ROOT, Service
from tests.support.folders import shared_folder
from tests.upgrade.traffic import Traffic

FOLDER = Path(__file__).with_name("recorded")
OWNERS = {
    "alice": ("execute:all", "read:functions", "write:functions"),
    "bob": ("execute:all",),
    "carol": ("execute:all",),
    "dave": ("execute:all",),
}
"""Who calls, with which scopes. The key of carol is revoked; a script of dave runs while the database is dumped."""

REVOKED = "carol"
SETTINGS = {"AUTH": "required", "RATE_LIMITS": "execute=10000/60", "LOG_FORMAT": "json"}
_MIGRATE = (sys.executable, "-m", "entrypoints", "migrate")
_KEYS = (sys.executable, "-m", "entrypoints", "keys")


def extract(commit: str, folder: Path) -> None:
    """Write the source of a commit into a folder; raises CalledProcessError if this clone does not have it."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True, timeout=60).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def record(version: str, commit: str) -> None:
    """Serve the release, let callers make sessions and executions, and store its dump and its responses."""
    with shared_folder() as source, shared_folder() as data_dir:
        extract(commit, source)
        service = Service(data_dir, program=("entrypoints", "serve"), root=source, **SETTINGS).ready()
        try:
            keys = {owner: _create_key(source, data_dir, owner, scopes) for owner, scopes in OWNERS.items()}
            _command(source, data_dir, *_KEYS, "revoke", keys[REVOKED]["id"], *_consent(version))
            steps = json.loads(_command(source, data_dir, *_MIGRATE, "status", "--output", "json"))
            traffic = Traffic(service.url, {owner: key["key"] for owner, key in keys.items()})
            traffic.make()
            traffic.read()
            with traffic.sleeping() as open_session:
                (FOLDER / f"{version}.sql").write_bytes(_dump(data_dir))
        finally:
            service.end()
    facts = {
        "commit": commit,
        "latest": len(steps),
        "recorded_at": str(datetime.now(UTC)),
        "keys": dict(traffic.keys),
        "open_session": open_session,
        **traffic.recorded(),
    }
    (FOLDER / f"{version}.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")


def _consent(version: str) -> list[str]:
    """Return the option that allows a loss; 0.1.0 asks for none."""
    return [] if version == "0.1.0" else ["--yes"]


def _create_key(source: Path, data_dir: Path, owner: str, scopes: tuple[str, ...]) -> Mapping[str, str]:
    options = [part for scope in scopes for part in ("--scope", scope)]
    text = _command(source, data_dir, *_KEYS, "create", "--owner", owner, *options, "--output", "json")
    key: Mapping[str, str] = json.loads(text)
    return key


def _command(source: Path, data_dir: Path, *argv: str) -> bytes:
    environ = {**os.environ, **SETTINGS, "DATA_DIR": str(data_dir)}
    return subprocess.run(argv, cwd=source, env=environ, check=True, stdout=subprocess.PIPE, timeout=60).stdout


def _dump(data_dir: Path) -> bytes:
    url = f"host={data_dir}/socket dbname=pglambda user=pglambda passfile={data_dir}/pgpass"
    options = ["--no-owner", "--no-privileges", "--restrict-key=pglambda", f"--dbname={url}"]
    done = subprocess.run([find_programs().path("pg_dump"), *options], check=True, capture_output=True, timeout=60)
    return done.stdout


if __name__ == "__main__":
    record(*sys.argv[1:3] if len(sys.argv) > 2 else (sys.argv[1], "HEAD"))
