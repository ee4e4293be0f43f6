"""What `explain` says about the id of a file."""

from datetime import timedelta

import pytest
from attrs import evolve

from domain.files.file import StoredFile
from domain.identity import Owner, uuid7_at
from domain.timeline import ClockReading, RetentionTimes, Timeline
from entrypoints.cli.explain.explanation import explain
from entrypoints.cli.explain.sentences import written
from tests.unit.domain.builders import START

ID = uuid7_at(START, 1)
DAY = timedelta(days=1)
UPLOADED = StoredFile(ID, Owner("alice"), "data.csv", "text/csv", 1, "00" * 32, START + DAY)


def explained(file, now=START):
    found = explain(Timeline(ID, ClockReading(now, 0.25, 12.5), file=file), RetentionTimes(DAY, 7, 30 * DAY))
    return found, [each.text for each in found.statements[:3]]


def test_an_uploaded_file_has_its_owner_its_name_and_its_end():
    found, texts = explained(UPLOADED)
    assert (found.state, found.summary) == ("active", f"Callers can read this file until {written(START + DAY)}.")
    assert texts == [
        f"Storing it began at {written(START)}.",
        "It belongs to alice, is called 'data.csv', and has 1 byte of the type text/csv.",
        "A caller has uploaded it.",
    ]


def test_a_file_that_a_script_has_left_names_the_execution():
    execution, session = uuid7_at(START, 2), uuid7_at(START, 3)
    _, texts = explained(evolve(UPLOADED, execution_id=execution, session_id=session))
    assert texts[2] == f"The script of the execution {execution} has left it, in the session {session}."


@pytest.mark.parametrize(("now", "state"), [(START + DAY, "expired"), (START, "active")])
def test_a_file_expires(now, state):
    assert explained(UPLOADED, now)[0].state == state
