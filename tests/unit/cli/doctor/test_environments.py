"""Findings about environments."""

from datetime import timedelta

import pytest
from attrs import evolve

from domain.environments.build import BuildFacts, BuildStatus
from domain.environments.environment import StoredEnvironment
from domain.scripts.language import Language
from entrypoints.cli.doctor.environments import judge_builds, judge_environments
from entrypoints.cli.doctor.report import Level
from tests.contracts.environments import version
from tests.unit.cli.doctor.facts import HOST, changed, seen, settings_of
from tests.unit.domain.environments.test_environment import build

INDEX = {"ENVIRONMENT_INDEX_PYTHON": "https://index.example.com/simple"}
NOW = version().created_at + timedelta(minutes=30)
READY, FAILED = build(BuildStatus.READY), evolve(build(BuildStatus.FAILED), facts=BuildFacts.failed("no wheel"))


def judged(*found: StoredEnvironment, **variables: str):
    return list(judge_environments(found, NOW, settings_of(**variables)))


def test_without_environments_there_is_no_finding():
    assert judged() == []
    assert judged(StoredEnvironment(version(retired_at=NOW))) == []


def test_versions_that_are_ready_are_counted():
    found = judged(StoredEnvironment(version(2), [READY]), StoredEnvironment(version(1), [READY]))
    assert seen(found, Level.OK) == ["2 versions are ready"]


def test_the_newest_version_is_a_warning_if_it_could_not_be_built():
    found = judged(StoredEnvironment(version(2), [FAILED]), StoredEnvironment(version(1), [FAILED]))
    assert seen(found, Level.WARNING) == ["data@2 could not be built: no wheel"]
    assert judged(StoredEnvironment(version(3), [READY]), StoredEnvironment(version(2), [FAILED]))[0].level is Level.OK


@pytest.mark.parametrize(
    ("variables", "remedy"),
    [
        ({}, "Set ENVIRONMENT_INDEX_PYTHON to the URL"),
        ({**INDEX, "ENVIRONMENT_BUILDS": "false"}, "Set ENVIRONMENT_BUILDS=true here"),
        (INDEX, "Start a controller with ENVIRONMENT_INDEX_PYTHON"),
    ],
)
def test_a_version_that_nobody_builds_is_a_problem_with_its_remedy(variables, remedy):
    (finding,) = judged(StoredEnvironment(version()), **variables)
    assert (finding.level, finding.seen) == (
        Level.PROBLEM,
        "no controller has begun to build data@1 for 30 minutes",
    )
    assert finding.remedy.startswith(remedy)
    assert judged(StoredEnvironment(version(created_at=NOW))) == []


def test_a_host_that_lacks_a_tool_for_its_index_is_a_problem():
    missing = {Language.PYTHON: "the program uv is not installed", Language.NODEJS: "npm is not installed"}
    found = list(judge_builds(missing, HOST, settings_of(**INDEX)))
    assert seen(found, Level.PROBLEM) == [
        "this host has an index for python, and cannot build: the program uv is not installed"
    ]
    assert list(judge_builds(missing, HOST, settings_of())) == []
    assert list(judge_builds(missing, HOST, settings_of(**INDEX, ENVIRONMENT_BUILDS="false"))) == []


def test_a_disk_that_is_too_small_for_a_build_is_a_warning():
    found = judge_builds({}, changed(HOST, disk_free_bytes=1024**3), settings_of(**INDEX))
    assert seen(found, Level.WARNING) == ["/var/lib/pglambda has 1,024 MiB free, and a build may take 3,072 MiB"]
    assert list(judge_builds({}, HOST, settings_of(**INDEX))) == []
