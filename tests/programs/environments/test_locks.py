"""Locks that the real tools make, from an index on this machine."""

import json
from pathlib import Path

import pytest

from adapters.environments.locking import LockFailed
from domain.environments.environment import lock_of
from domain.environments.lock import LockedPackage
from domain.scripts.language import Language
from entrypoints.composition.locking import lock_packages
from entrypoints.settings.loading import load_settings
from entrypoints.settings.settings import Settings
from tests.support.indexes import LocalIndex, local_index, needs_uv

pytestmark = needs_uv


@pytest.fixture(scope="module")
def index():
    with local_index() as index:
        yield index


def settings_of(index: LocalIndex) -> Settings:
    host = index.url.replace("http://", "http://me:hidden@")
    return load_settings(
        {
            "DATABASE_URL": "postgresql:///",
            "ENVIRONMENT_INDEX_PYTHON": f"{host}/simple",
            "ENVIRONMENT_INDEX_NODEJS": host,
        }
    )


def test_a_lock_of_python_has_digests_and_is_accepted(index: LocalIndex, tmp_path: Path) -> None:
    digest = index.add_wheel("pure", {"pure/__init__.py": b""})
    manifest = tmp_path / "requirements.in"
    manifest.write_text("pure>=1\n")
    text = lock_packages(settings_of(index), Language.PYTHON, manifest, None)
    assert lock_of(Language.PYTHON, text).packages == [LockedPackage("pure", "1.0")]
    assert f"--hash=sha256:{digest}" in text
    assert (str(tmp_path) in text, "hidden" in text) == (False, False)
    manifest.write_text("absent==1\n")
    with pytest.raises(LockFailed, match="absent") as failed:
        lock_packages(settings_of(index), Language.PYTHON, manifest, None)
    assert "hidden" not in failed.value.message.replace("[hidden]", "")


def test_a_lock_of_nodejs_has_digests_and_is_accepted(index: LocalIndex, tmp_path: Path) -> None:
    integrity = index.add_package("adder", {"index.js": "exports.one = 1"})
    manifest = tmp_path / "package.json"
    manifest.write_text(json.dumps({"name": "tools", "version": "1.0.0", "dependencies": {"adder": "^1.0.0"}}))
    text = lock_packages(settings_of(index), Language.NODEJS, manifest, None)
    assert [(each.name, each.version) for each in lock_of(Language.NODEJS, text).packages] == [("adder", "1.0.0")]
    assert integrity in text
    assert [path.name for path in tmp_path.iterdir()] == ["package.json"]
    manifest.write_text(json.dumps({"dependencies": {"absent": "1.0.0"}}))
    with pytest.raises(LockFailed, match="absent"):
        lock_packages(settings_of(index), Language.NODEJS, manifest, None)
