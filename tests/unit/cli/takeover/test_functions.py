"""The command `takeover functions`, on functions that are described by hand."""

import json
from contextlib import asynccontextmanager

import pytest
from attrs import define, evolve, field
from click.testing import CliRunner
from dependency_injector import providers

from domain.identity import SHARED
from domain.scripts.convention import Convention
from domain.scripts.language import LanguageTitle
from domain.takeover.function_import import ImportedFunction, ImportOutcome
from domain.takeover.functions import FunctionFlag, FunctionReason, LeftFunction
from domain.takeover.source import SourceRefused
from entrypoints.cli.main import cli
from tests.support.commands import commands_with
from tests.unit.takeover.test_functions import ROW

ENV = {"DATABASE_URL": "postgresql://nobody/nothing", "TAKEOVER_SOURCE_URL": "postgresql://reader:secret@old/lambda"}
ADDED = ImportedFunction(
    LanguageTitle.of("python-adder"),
    ImportOutcome.NEXT_VERSION,
    2,
    Convention.EVENT_FIRST,
    1,
    (FunctionFlag.EVENT_FIRST,),
)


@define(eq=False)
class ManualImport:
    """An origin with these functions; those in rust are left."""

    rows: list = field(factory=lambda: [ROW, evolve(ROW, language_title="rust-x")])
    refusal: Exception | None = None
    pages: list = field(factory=list)
    asked: list = field(factory=list)

    @asynccontextmanager
    async def origin(self, address):
        if self.refusal is not None:
            raise self.refusal
        yield self

    @asynccontextmanager
    async def importer(self, owner, languages):
        self.asked.append((owner, len(languages.rules)))
        yield self

    async def page(self, after, size):
        self.pages.append(after)
        found = [row for row in self.rows if row.language_title > after]
        return found[:size]

    async def add(self, row, *, dry_run):
        self.asked.append((row.language_title, dry_run))
        if row.language_title.startswith("rust"):
            return LeftFunction(row.language_title, FunctionReason.LANGUAGE_NOT_SERVED, "Detail.")
        return evolve(ADDED, language_title=LanguageTitle.of(row.language_title))


def run(*arguments, world=None, **env):
    world = world or ManualImport()
    container = commands_with(
        origin_functions=providers.Callable(world.origin), function_importer=providers.Callable(world.importer)
    )
    return CliRunner().invoke(cli, ["takeover", "functions", *arguments], obj=container, env={**ENV, **env})


def test_each_function_is_told_with_what_is_unusual():
    result = run()
    assert result.exit_code == 1, result.output
    assert result.stdout.splitlines() == [
        "python-adder: next version, version 2, convention event-first, 1 example holds.",
        "  Its one parameter `context` is the event, so it has the convention event-first.",
        "rust-x: left. This service does not run its language. Detail.",
    ]


def test_control_characters_of_a_name_do_not_reach_the_terminal():
    world = ManualImport(rows=[evolve(ROW, language_title="rust-\x1b[2J\x9b\npython-adder")])
    assert run(world=world).stdout.startswith("rust-\\x1b[2J\\x9b\\npython-adder: left. ")


def test_the_exit_status_is_0_if_nothing_was_left():
    world = ManualImport(rows=[ROW])
    result = run("--dry-run", world=world)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "Nothing was changed: this was a dry run."
    assert world.asked == [(SHARED, 0), ("python-adder", True)]
    assert run(world=ManualImport(rows=[])).stdout == "The origin has no functions.\n"


def test_the_json_output_has_every_function():
    left, added = reversed(json.loads(run("--output", "json").stdout))
    assert added == {
        "language_title": "python-adder",
        "outcome": "next_version",
        "version": 2,
        "convention": "event-first",
        "examples": 1,
        "flags": [{"flag": "event_first", "words": FunctionFlag.EVENT_FIRST.words}],
    }
    assert (left["outcome"], left["reason"], left["detail"]) == ("left", "language_not_served", "Detail.")


def test_the_owner_and_the_mapping_file_are_chosen_by_options(tmp_path):
    file = tmp_path / "mappings.json"
    file.write_text(json.dumps([{"pattern": "py", "runtime_type": "python", "is_regex": False}]))
    world = ManualImport(rows=[])
    assert run("--function-owner", "alice", "--mappings", str(file), world=world).exit_code == 0
    assert world.asked == [("alice", 1)]


def test_many_functions_are_read_page_by_page():
    rows = [evolve(ROW, language_title=f"python-f{number:02}") for number in range(32)]
    world = ManualImport(rows=rows)
    assert len(json.loads(run("--output", "json", world=world).stdout)) == 32
    assert world.pages == ["", "python-f15", "python-f31"]


@pytest.mark.parametrize(
    ("world", "env", "text", "status"),
    [
        (ManualImport(), {"TAKEOVER_SOURCE_URL": None}, "Name the database of the origin with --source", 2),
        (ManualImport(refusal=SourceRefused("It refuses.", remedy="Grant it.")), {}, "It refuses. Grant it.", 1),
    ],
)
def test_a_failure_is_one_message(world, env, text, status):
    result = run(world=world, **env)
    assert (result.exit_code, text in result.stderr) == (status, True), result.stderr
