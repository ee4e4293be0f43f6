"""The command `explain`."""

import json
from datetime import timedelta
from uuid import uuid4

from attrs import define, evolve, field
from click.testing import CliRunner

from domain.errors import StorageUnavailable
from domain.identity import uuid7_at
from domain.scripts.language import Language, LanguageTitle
from domain.timeline import ClockReading, Timeline
from entrypoints.cli.main import cli
from tests.support.commands import commands_with
from tests.unit.domain.builders import START, session_at

ID = uuid7_at(START, 0)
TIMELINE = Timeline(ID, ClockReading(START + timedelta(seconds=1), 0.25, 12.5), session=session_at())
ENV = {"DATABASE_URL": "postgresql://nobody/nothing", "HOST": None, "PORT": None}


@define
class ManualReader:
    timeline: Timeline = TIMELINE
    failure: Exception | None = None
    asked: list = field(factory=list)

    async def read(self, identifier):
        self.asked.append(identifier)
        if self.failure is not None:
            raise self.failure
        return self.timeline


def run(*arguments, reader=None):
    container = commands_with(timeline=reader or ManualReader())
    return CliRunner().invoke(cli, ["explain", *arguments], obj=container, env=ENV)


def test_each_line_has_a_topic_a_sentence_and_its_source():
    result = run(str(ID))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("The session is live, for 1 min 39 s more")
    assert "owner     It belongs to anonymous and runs nodejs-calculator. [the session's row]" in lines


def test_control_characters_of_a_title_do_not_reach_the_terminal():
    session = evolve(session_at(), language_title=LanguageTitle(Language.PYTHON, "a\x1b[31m\nowner     It is yours"))
    result = run(str(ID), reader=ManualReader(evolve(TIMELINE, session=session)))
    assert "runs python-a\\x1b[31m\\nowner     It is yours. [the session's row]" in result.stdout


def test_the_json_output_has_every_statement_and_the_clock():
    document = json.loads(run(str(ID), "--output", "json").stdout)
    assert (document["id"], document["verdict"]) == (str(ID), "active")
    assert document["clock"] == {
        "now": "2026-01-02T03:04:06.678901+00:00",
        "offset_ms": 12.5,
        "error_bound_ms": 0.25,
    }
    assert document["statements"][0] == {
        "topic": "created",
        "text": "It was created at 2026-01-02 03:04:05.678901Z, by the database's clock.",
        "source": "the id",
        "at": "2026-01-02T03:04:05.678901+00:00",
    }


def test_an_id_of_another_service_is_looked_up_too():
    foreign = uuid4()
    reader = ManualReader(evolve(TIMELINE, identifier=foreign, session=None))
    assert "was not made by this service" in run(str(foreign), reader=reader).stdout
    assert reader.asked == [foreign]


def test_a_text_that_is_not_an_id_is_a_wrong_usage():
    result = run("nonsense")
    assert result.exit_code == 2
    assert "'nonsense' is not a valid UUID" in result.stderr


def test_an_unreachable_database_is_one_line():
    result = run(str(ID), reader=ManualReader(failure=StorageUnavailable()))
    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: {StorageUnavailable()} Run `pglambda doctor` to see why.\n",
    )
