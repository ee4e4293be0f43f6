"""The command `takeover rehearse`, on calls that are recorded in memory."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from click.testing import CliRunner, Result
from dependency_injector import providers

from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.report import FailureCode
from domain.takeover.recording import RecordingLimits, Unrecorded
from domain.takeover.rehearser import record
from entrypoints.cli.main import cli
from tests.contracts.recording_store import MINUTE
from tests.contracts.takeover_store import origin_id, takeover_of
from tests.support.commands import commands_with
from tests.unit.takeover.test_rehearser import SOURCE, Findings, World

ENV = {"DATABASE_URL": "postgresql://nobody/nothing"}
ORIGIN, OWN = Convention.ORIGIN, Convention.OWN
SAME = [JsonText("1")] * 50
FAILING = [FailureCode.SCRIPT_ERROR] * 50


@pytest.fixture
def world() -> World:
    return World({ORIGIN: SAME, OWN: SAME})


def command(world: World, *arguments: str) -> Result:
    @asynccontextmanager
    async def runners():
        yield world.runners

    @asynccontextmanager
    async def examiner():
        yield world.examiner

    async def sleep(pause_s: float) -> None:
        world.storage.clock.advance(timedelta(seconds=pause_s))

    commands = commands_with(
        recordings=providers.Object(world.store),
        record=providers.Callable(record, world.store, world.storage.clock, sleep=sleep),
        rehearser=providers.Callable(lambda sandboxes: world.rehearser),
        sandbox_runners=providers.Callable(runners),
        script_examiner=providers.Callable(examiner),
    )
    return CliRunner().invoke(cli, ["takeover", "rehearse", *arguments], obj=commands, env=ENV)


def recorded(world: World, *results: str | None) -> None:
    asyncio.run(world.record(*results))


def test_calls_that_end_as_at_the_origin_are_a_success(world):
    recorded(world, "1", "1")
    done = command(world)
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["language", "script", "calls", "origin", "own", "why", "where"]
    assert lines[1] == ["python", SOURCE.hash[:12], "2", "2", "same", "2", "same"]
    assert done.stdout.splitlines()[-1] == "2 calls of 1 scripts. Calls of 0 scripts differ or fail under origin."


def test_a_call_that_fails_under_origin_is_told_with_what_explains_it():
    world = World({ORIGIN: FAILING, OWN: FAILING}, Findings(("P7",)))
    recorded(world, "1")
    done = command(world)
    assert done.exit_code == 1
    assert done.stdout.splitlines()[1].split() == (
        ["python", SOURCE.hash[:12], "1", "1", "fails", "1", "fails", "P7", "SCRIPT_ERROR", "KeyError"]
    )


def test_under_own_a_call_may_fail(world):
    world.runner.ends = {ORIGIN: SAME, OWN: FAILING}
    recorded(world, "1")
    done = command(world)
    assert (done.exit_code, "P1" in done.stdout) == (0, True)


def test_the_report_is_json_for_programs_and_has_a_line_for_each_call(world, tmp_path):
    recorded(world, "1", "[1]")
    report = tmp_path / "answers.jsonl"
    done = command(world, "--output", "json", "--report", str(report))
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert (document["status"], document["calls"], document["skipped"], document["without_copy"]) == (
        "differs",
        2,
        0,
        0,
    )
    (script,) = document["scripts"]
    assert script["script_hash"] == SOURCE.hash
    assert script["origin"] == {
        "verdicts": {"same": 1, "differs": 1},
        "codes": [],
        "locations": ["at (the whole result)"],
    }
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [(line["origin"]["verdict"], line["params_bytes"], line["result_bytes"]) for line in lines] == [
        ("same", 14, 1),
        ("differs", 14, 3),
    ]


def test_nothing_of_a_payload_or_of_a_terminal_is_told(tmp_path):
    escape, address = "\x1b]0;owned\x07", "ada@example.com"
    there, here = json.dumps({escape: {address: "secret"}}), JsonText(json.dumps({escape: {address: 1}}))
    world = World({ORIGIN: [here] * 2, OWN: FAILING})
    world.runner.name = f"{escape}\n{address}"
    recorded(world, there)
    report = tmp_path / "answers.jsonl"
    table = command(world, "--report", str(report))
    assert table.stdout.splitlines()[1].split()[-2:] == ["at", "/*/*"]
    told = table.output + command(world, "--output", "json").output + report.read_text()
    assert "SCRIPT_ERROR *" in told
    assert all(each.isprintable() for each in told.splitlines())
    assert not [secret for secret in ("owned", "@", "secret") if secret in told]


@pytest.mark.parametrize("is_dangling", [False, True])
def test_a_report_follows_no_symlink(is_dangling, world, tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    if not is_dangling:
        target.write_text("kept")
    link.symlink_to(target)
    recorded(world, "1")
    done = command(world, "--report", str(link))
    assert (done.exit_code, "Name a new file" in done.output) == (2, True)
    assert world.runner.runs == []
    assert [path.read_text() for path in tmp_path.iterdir() if not path.is_symlink()] == ["kept"] * (not is_dangling)


def test_a_second_rehearsal_runs_nothing_and_tells_the_same(world):
    recorded(world, "1", "2")
    first = command(world, "--output", "json")
    runs = len(world.runner.runs)
    second = command(world, "--output", "json")
    assert (second.exit_code, second.stdout, len(world.runner.runs)) == (first.exit_code, first.stdout, runs)
    assert command(world, "--again").exit_code == 1
    assert len(world.runner.runs) == 2 * runs


def test_a_dry_run_runs_the_calls_and_stores_nothing(world):
    recorded(world, "1")
    done = command(world, "--dry-run", "--minutes", "5", "--output", "json")
    assert (done.exit_code, json.loads(done.stdout)["dry_run"]) == (0, True)
    assert asyncio.run(world.store.counts()).judged == 0
    assert asyncio.run(world.store.recording()).until == world.storage.clock.now() + MINUTE


def test_the_command_waits_for_the_recording_and_says_that_none_was_recorded(world):
    asyncio.run(world.takeovers.begin(takeover_of(world.storage)))
    before = world.storage.clock.now()
    done = command(world, "--minutes", "2")
    assert done.exit_code == 1
    assert done.stdout.startswith("No call was recorded. Run `pglambda takeover rehearse --minutes 10`")
    assert world.storage.clock.now() - before == timedelta(minutes=2, seconds=3)


def test_what_could_not_be_recorded_or_run_is_told(world):
    recorded(world, "1")
    unrecorded = {Unrecorded.TOO_LARGE: 3, Unrecorded.UNREADABLE: 2}
    asyncio.run(world.store.record([], unrecorded, RecordingLimits()))
    world.runner.unavailable = "install it"
    done = command(world)
    assert done.exit_code == 0
    told = done.stdout[done.stdout.index("calls left") :].splitlines()
    assert [line.split()[0] for line in told] == ["calls", "3", "2", "1"]
    assert "the sandbox could not run" in told[-1]
    asyncio.run(world.takeovers.discard([origin_id(0)]))
    assert "whose session has ended since" in command(world).stdout


def test_without_a_takeover_the_command_says_what_to_do(world):
    done = command(world, "--minutes", "1")
    assert done.exit_code == 1
    assert "Run `pglambda takeover copy` first" in done.output


def test_the_recorded_calls_are_discarded(world):
    recorded(world, "1", "2")
    done = command(world, "--discard")
    assert (done.exit_code, done.stdout) == (0, "Removed 2 recorded calls. No front records any more.\n")
    assert asyncio.run(world.store.recording()) is None
    assert command(world, "--discard", "--again").exit_code == 2
