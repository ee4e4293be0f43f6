"""The commands of environments."""

import json
from datetime import timedelta
from pathlib import Path

import click
import pytest
from attrs import define, evolve, field
from click.testing import CliRunner
from dependency_injector import providers

from adapters.memory.environments import MemoryEnvironmentRepository, MemoryEnvironmentStore
from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from domain.environments.build import BuildFacts, BuildStatus
from domain.environments.service import BuildsUnavailable, EnvironmentService, NewEnvironment
from domain.errors import StorageUnavailable
from domain.scripts.language import Language
from entrypoints.cli.environments.following import QUEUED, BuildFollower, added, followed
from entrypoints.cli.main import cli
from tests.support.acts import OPERATOR
from tests.support.commands import commands_with
from tests.unit.domain.environments.test_environment import build

ENV = {"DATABASE_URL": "postgresql://nobody/nothing"}
LOCK = f"six==1.17.0 --hash=sha256:{'0' * 64}\n"
NODE_LOCK = json.dumps(
    {
        "lockfileVersion": 3,
        "packages": {
            "": {"dependencies": {"lodash": "4.0.0"}},
            "node_modules/lodash": {"version": "4.0.0", "integrity": f"sha512-{'A' * 86}=="},
        },
    }
)
ASKED = NewEnvironment("data", Language.PYTHON, LOCK)
LINES = "".join(f"line {number}\n" for number in range(2000))
PLATFORM = "cp313-x86_64-glibc"


@define(eq=False)
class World:
    folder: Path
    store: MemoryEnvironmentStore = field(factory=MemoryEnvironmentStore)
    ids: SequentialIds = field(factory=SequentialIds)
    languages: frozenset[Language] = frozenset(Language)
    asked: list[object] = field(factory=list)
    made: object = LOCK

    def service(self) -> EnvironmentService:
        repository = MemoryEnvironmentRepository(self.store)
        return EnvironmentService(ManualClock(), self.ids, repository, self.languages)

    def run(self, *arguments: str):
        container = commands_with(
            environments=providers.Object(self.service()),
            actor=providers.Object(OPERATOR),
            lock_packages=providers.Callable(self.lock),
        )
        return CliRunner().invoke(cli, ["environments", *map(str, arguments)], obj=container, env=ENV)

    def lock(self, *asked: object) -> str:
        self.asked.append(asked)
        if isinstance(self.made, Exception):
            raise self.made
        return str(self.made)

    def file(self, name: str = "requirements.txt", text: str = LOCK):
        path = self.folder / name
        path.write_text(text)
        return path

    def built(self, version: int = 1, status: BuildStatus = BuildStatus.READY, **changed: object) -> None:
        self.store.builds[("data", version), PLATFORM] = evolve(build(status, PLATFORM), **changed)


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path)


def test_a_version_is_created_listed_and_shown(world):
    created = world.run("create", "data", world.file(), "--preload", "six", "--owner", "alice")
    assert (created.stdout, created.exit_code) == ("Created data@1, which is queued.\n", 0)
    world.built(facts=BuildFacts(bytes=3 * 1024**2, files=12, packed_bytes=1024**2, cpu_ms=150.2, private_mb=33.3))
    header, line = world.run("list").stdout.splitlines()
    assert header.split()[:4] == ["environment", "status", "language", "MiB"]
    assert line.split()[:6] == ["data@1", "ready", "python", "3.0", "six", "alice"]
    assert world.run("list", "other").stdout == "No environments.\n"
    shown = world.run("show", "data").stdout
    assert "six==1.17.0" in shown
    assert "150 ms of CPU, 33.3 MiB" in shown
    assert "3.0 MiB in 12 files, 1.0 MiB packed" in shown
    facts = json.loads(world.run("show", "data@1", "--output", "json").stdout)
    assert (facts["status"], facts["packages"]) == ("ready", [{"name": "six", "version": "1.17.0"}])
    assert facts["builds"][PLATFORM]["files"] == 12
    assert "packages" not in json.loads(world.run("list", "--output", "json").stdout)[0]


def test_the_same_content_makes_no_version_and_the_language_is_that_of_the_lock(world):
    world.run("create", "data", world.file())
    world.built()
    again = world.run("create", "data", world.file(), "--output", "json", "--wait")
    assert (again.exit_code, json.loads(again.stdout)["is_new"]) == (0, False)
    assert world.run("create", "data", world.file()).stdout == "data@1 has this content already, and is ready.\n"
    tools = world.run("create", "tools", world.file("package-lock.json", NODE_LOCK), "--output", "json")
    assert json.loads(tools.stdout)["language"] == "nodejs"


@pytest.mark.parametrize(
    ("name", "content", "status", "message"),
    [
        ("Data", LOCK.encode(), 1, "must be 1 to 32 lower-case letters"),
        ("data", b"six==1.17.0\n", 1, "line 1: six has no --hash"),
        ("data", b"\xff", 2, "is no text in UTF-8; make it by `pglambda environments lock`"),
        ("data", b"#" * 1_048_577, 1, "1,048,577 bytes, and 1,048,576 are allowed"),
    ],
)
def test_what_is_not_accepted_is_refused_with_what_to_do(world, name, content, status, message):
    path = world.folder / "lock.txt"
    path.write_bytes(content)
    refused = world.run("create", name, path)
    assert (refused.exit_code, world.store.versions) == (status, {})
    assert message in " ".join(refused.stderr.split())


def test_without_an_index_nothing_is_created_and_the_setting_is_named(world):
    world.languages = frozenset()
    refused = world.run("create", "data", world.file())
    assert (refused.exit_code, world.store.versions) == (1, {})
    assert "Set ENVIRONMENT_INDEX_PYTHON to the URL of one." in refused.stderr


def test_waiting_shows_the_log_and_ends_with_the_status_of_the_build(world):
    world.run("create", "data", world.file())
    world.built(log="Installed 1 package\n")
    followed = world.run("show", "data", "--follow")
    assert (followed.exit_code, followed.stderr) == (0, "Installed 1 package\n")
    world.built(1, BuildStatus.FAILED, facts=BuildFacts.failed("no such wheel"), log="error: no such wheel\n")
    failed = world.run("show", "data", "--follow")
    assert failed.exit_code == 1
    assert "Error: data@1 could not be built: no such wheel. Correct what the log shows" in failed.stderr
    assert world.run("show", "data").exit_code == 0
    assert world.run("show", "data", "--log").stdout.endswith(f"{PLATFORM}:\nerror: no such wheel\n")


async def test_a_build_that_does_not_end_is_waited_for_up_to_the_limit(world, capsys):
    service = world.service()
    stored, _ = await service.create(ASKED, OPERATOR)
    with pytest.raises(click.ClickException, match="data@1 is queued after 0:00:00, which is the limit of --timeout"):
        await followed(service, stored, timedelta(0))
    assert capsys.readouterr().err == f"{QUEUED}\n"


def test_a_version_is_retired_after_consent(world):
    for preload in ("six", "os"):
        world.run("create", "data", world.file(), "--preload", preload)
    world.built(1)
    planned = world.run("retire", "data@2", "--dry-run")
    assert planned.stdout == "Would retire data@2, which is queued. New sessions of data get data@1.\n"
    refused = world.run("retire", "data@2")
    assert (refused.exit_code, "add --yes" in refused.stderr) == (2, True)
    assert world.store.versions["data", 2].retired_at is None
    assert world.run("retire", "data@2", "--yes").stdout == "data@2 is retired. New sessions of data get data@1.\n"
    last = world.run("retire", "data@1", "--yes").stdout
    assert last == "data@1 is retired. No other version of data is ready, so no session can begin with it.\n"
    again = json.loads(world.run("retire", "data@1", "--output", "json").stdout)
    assert (again["status"], again["version"]) == ("retired", 1)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("retire", "data"), 2, "'data' has no version; write data@1"),
        (("show", "Data"), 2, "'Data' is no environment"),
        (("show", "data@9"), 1, "There is no environment data@9"),
        (("create", "data", "/nonexistent"), 2, "does not exist"),
    ],
)
def test_wrong_arguments_are_refused(world, arguments, status, message):
    refused = world.run(*arguments)
    assert refused.exit_code == status
    assert message in refused.stderr


def test_a_lock_is_made_for_the_language_of_the_manifest(world):
    manifest = world.file("requirements.in", "six\n")
    assert world.run("lock", manifest).stdout == LOCK
    target = world.folder / "out.txt"
    written = world.run("lock", manifest, "--exclude-newer", "2026-11-01", "--to", target)
    assert (written.stdout, written.stderr) == ("", f"Wrote {target}: 1 package.\n")
    assert target.read_text() == LOCK
    world.made = NODE_LOCK
    package = world.file("package.json", "{}")
    world.run("lock", package)
    assert world.asked == [
        (Language.PYTHON, manifest, None),
        (Language.PYTHON, manifest, "2026-11-01"),
        (Language.NODEJS, package, None),
    ]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (BuildsUnavailable(Language.PYTHON), "Set ENVIRONMENT_INDEX_PYTHON"),
        ("six @ file:///six.whl\n", "The lock is not accepted"),
    ],
)
def test_a_lock_that_cannot_be_made_writes_nothing(world, made, message):
    world.made, target = made, world.folder / "out.txt"
    failed = world.run("lock", world.file("requirements.in"), "--to", target)
    assert (failed.exit_code, target.exists()) == (1, False)
    assert message in failed.stderr


def test_a_file_that_cannot_be_written_is_an_error(world):
    failed = world.run("lock", world.file("requirements.in"), "--to", world.folder / "absent" / "out.txt")
    assert failed.exit_code == 1
    assert "out.txt cannot be written: No such file or directory. Name another file by --to." in failed.stderr


def test_a_database_that_is_away_is_an_error(world):
    world.store.failure = StorageUnavailable()
    assert world.run("list").exit_code == 1


@pytest.mark.parametrize(
    ("before", "after", "new"),
    [
        ("", "a", "a"),
        ("ab", "abc", "c"),
        (LINES[:9000], LINES[1000:9500], LINES[9000:9500]),
        ("abc", "xyz", "xyz"),
        ("ab", "ab", ""),
    ],
    ids=["begin", "more", "moved", "other", "same"],
)
def test_what_was_added_to_a_log_is_found_also_if_its_begin_is_gone(before, after, new):
    assert added(before, after) == new


async def test_the_log_is_shown_once_and_anew_if_a_build_begins_again(world, capsys):
    service = world.service()
    await service.create(ASKED, OPERATOR)
    building = {"status": BuildStatus.BUILDING}
    steps = iter(
        [
            {"log": "one\n", **building},
            {"log": "one\ntwo\n", **building},
            {"log": "", "attempts": 2, **building},
            {"log": "three\n", "attempts": 2},
        ]
    )

    async def pause() -> None:
        world.built(**next(steps))

    ended = await BuildFollower(service, pause).until_ended("data", 1)
    assert ended.status == "ready"
    assert capsys.readouterr().err == (
        f"{QUEUED}\none\ntwo\nThe build for {PLATFORM} was interrupted, and begins anew.\nthree\n"
    )
