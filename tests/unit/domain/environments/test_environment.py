"""Names, versions, builds and errors of environments."""

import json
import re

import pytest
from attrs import evolve

from domain.environments.build import (
    LOG_SIZE_MAX,
    REASON_SIZE_MAX,
    Build,
    BuildFacts,
    BuildFailed,
    BuildStatus,
    last_of,
)
from domain.environments.environment import (
    EnvironmentConflict,
    EnvironmentNotFound,
    EnvironmentNotReady,
    StoredEnvironment,
    lock_of,
    pinned_name,
)
from domain.environments.lock import LockRefused
from domain.environments.ports import TrialFailed
from domain.environments.tree import CHUNK_SIZE, StoredTree, TreeUnavailable
from domain.identity import Owner
from domain.scripts.environment import Environment
from domain.scripts.language import Language
from tests.contracts.environments import NOW, PLATFORM, version


def build(status: BuildStatus, platform: str = PLATFORM) -> Build:
    return Build(platform, status, "ab" if status is BuildStatus.READY else None, BuildFacts(), "", 1, NOW)


@pytest.mark.parametrize(
    ("text", "parsed"), [("data", ("data", None)), ("data@3", ("data", 3)), ("a-1@999999999", ("a-1", 999_999_999))]
)
def test_a_name_may_end_with_a_version(text, parsed):
    assert pinned_name(text) == parsed


@pytest.mark.parametrize("text", ["", "Data", "1a", "data@0", "data@", "data@1x", "a" * 33, "data@1000000000", "a\n"])
def test_other_texts_name_no_environment(text):
    with pytest.raises(ValueError, match=re.escape(text) or "^$"):
        pinned_name(text)


def test_environments_and_versions_are_spelled_with_their_number():
    assert (str(Environment("data", 3, "ab")), str(version(3))) == ("data@3", "data@3")


def test_a_version_serves_its_owners_or_all():
    assert version().serves(Owner("alice"))
    assert not version().serves(Owner("bob"))
    assert version(owners=None).serves(Owner("bob"))


def test_versions_with_the_same_packages_for_the_same_owners_have_the_same_content():
    assert version(1).has_content_of(version(2, description="other", author="other"))
    for changed in ({"lock": "x"}, {"preload": ()}, {"owners": None}, {"language": Language.NODEJS}):
        assert not version(1).has_content_of(version(2, **changed))


@pytest.mark.parametrize(
    ("builds", "status"),
    [
        ([], "queued"),
        ([BuildStatus.BUILDING], "building"),
        ([BuildStatus.FAILED], "failed"),
        ([BuildStatus.FAILED, BuildStatus.BUILDING], "building"),
        ([BuildStatus.FAILED, BuildStatus.READY], "ready"),
    ],
)
def test_the_status_of_a_version_is_that_of_its_best_build(builds, status):
    found = [build(each, f"p{at}") for at, each in enumerate(builds)]
    assert StoredEnvironment(version(), found).status == status
    assert StoredEnvironment(version(retired_at=NOW), found).status == "retired"
    assert StoredEnvironment(version(), found).on("p0") == (found[0] if found else None)


def test_the_lock_of_a_language_is_read_by_its_own_rules():
    assert lock_of(Language.PYTHON, f"six==1.0 --hash=sha256:{'0' * 64}").packages[0].name == "six"
    with pytest.raises(LockRefused):
        lock_of(Language.NODEJS, f"six==1.0 --hash=sha256:{'0' * 64}")


def test_facts_of_a_build_are_read_as_they_were_written_and_unknown_ones_are_left_out():
    facts = BuildFacts(bytes=1, files=2, cpu_ms=1.5, reason="ü")
    assert BuildFacts.of(facts.text()) == facts
    assert json.loads(facts.text()) == {"bytes": 1, "files": 2, "cpu_ms": 1.5, "reason": "ü"}
    assert BuildFacts.of('{"bytes":1,"later":2}') == BuildFacts(bytes=1)
    assert BuildFacts.of(None) == BuildFacts()
    assert len(BuildFacts.failed("x" * 9000).reason) == REASON_SIZE_MAX


def test_of_a_log_the_end_is_kept_and_it_has_no_nul():
    assert last_of("a\0b") == "a�b"
    assert last_of("ü" * LOG_SIZE_MAX) == "ü" * (LOG_SIZE_MAX // 2)
    assert last_of("x" + "ü" * LOG_SIZE_MAX + "y").endswith("üy")
    assert len(last_of("\ud800" * 3)) == 3


def test_a_tree_has_chunks_of_256_kib():
    sizes = (1, CHUNK_SIZE, CHUNK_SIZE + 1)
    assert [StoredTree("ab", 1, 0, 0, size).chunks for size in sizes] == [1, 1, 2]


def test_errors_say_what_to_do_next():
    missing = EnvironmentNotFound("data", 3)
    assert "There is no environment data@3 that you may use" in missing.message
    assert missing.details == {"name": "data", "version": 3}
    assert "no environment data that" in EnvironmentNotFound("data").message
    assert "/api/v1/environments" not in missing.message, "it is for operators"
    malformed = EnvironmentNotFound(None, "x")
    assert "There is no environment with version x that" in malformed.message
    assert malformed.details == {}, "the document says that it is a number"
    building = EnvironmentNotReady("data", 3, "building")
    assert "not built yet (building). Repeat the call" in building.message
    assert building.details == {"name": "data", "version": 3, "status": "building", "retry_after_ms": 2000}
    failed = EnvironmentNotReady("data", 3, "failed", "no such version")
    assert "could not be built: no such version. Correct it" in failed.message
    assert "see its log" in evolve_status("failed").message
    assert failed.details == {"name": "data", "version": 3, "status": "failed"}
    assert "is retired" in evolve_status("retired").message
    assert "Repeat the call" in EnvironmentConflict("data").message
    assert "are not on this host: x" in TreeUnavailable("ab", "x").message
    assert (str(BuildFailed("x")), str(TrialFailed("y"))) == ("x", "y")


def evolve_status(status: str) -> EnvironmentNotReady:
    return evolve(EnvironmentNotReady("data", 3, "queued"), status=status)
