"""Rotations of secrets that are killed before and after each statement: every secret opens all the time."""

import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from adapters.aes_gcm_sealer import AesGcmSealer
from domain.identity import Owner
from domain.secrets.secret import Sealed, SecretRef
from tests.faults.mortal_rotation import FORMER, PRESENT
from tests.faults.report import NOTES

pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).parents[2]
SECRETS = 250
STEPS = 6
"""Each of three statements has a hundred secrets at most."""

BOTH = AesGcmSealer.of([PRESENT, FORMER])
STORE = """
INSERT INTO meta.secrets (owner, name, version, key_id, nonce, sealed, created_at, author)
VALUES ('alice', %s, 1, %s, %s, %s, now(), 'alice')
"""


def store_sealed_by_the_former_key(connection: psycopg.Connection) -> None:
    former = AesGcmSealer.of([FORMER])
    connection.execute("DELETE FROM meta.secrets")
    for number in range(SECRETS):
        name = f"KEY_{number:03}"
        sealed = former.seal(SecretRef(Owner("alice"), name), 1, f"value of {name}")
        connection.execute(STORE, [name, sealed.key_id, sealed.nonce, sealed.content])


def keys_of_what_opens(connection: psycopg.Connection) -> list[str]:
    """Return the keys of all secrets, each of which opens as what was stored."""
    rows = connection.execute("SELECT name, key_id, nonce, sealed FROM meta.secrets ORDER BY name").fetchall()
    for name, *sealed in rows:
        assert BOTH.open(SecretRef(Owner("alice"), name), 1, Sealed(*sealed)) == f"value of {name}"
    return [key_id for _, key_id, *_ in rows]


def killed(step: int, url: str) -> bool:
    argv = [sys.executable, "-m", "tests.faults.mortal_rotation", str(step), url]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def test_a_rotation_that_is_killed_is_completed_by_the_next_one(server, url):
    present, former = BOTH.key_ids
    with psycopg.connect(url, autocommit=True) as connection:
        for step in range(STEPS):
            store_sealed_by_the_former_key(connection)
            assert killed(step, url)
            done = min(SECRETS, 100 * ((step + 1) // 2))
            assert keys_of_what_opens(connection) == [present] * done + [former] * (SECRETS - done)
            assert not killed(-1, url)
            assert set(keys_of_what_opens(connection)) == {present}
    NOTES.append(f"rotations of {SECRETS} secrets, killed before and after each statement: {STEPS} kills; 0 lost")
