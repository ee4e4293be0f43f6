"""How the calls of a script ended is told together, with what explains it."""

from uuid import UUID

import pytest

from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.takeover.comparison import Note
from domain.takeover.judgement import Answer, CallVerdict, JudgedScripts, Judgement, explaining

SAME = Answer(CallVerdict.SAME)
ORIGIN, OWN = Convention.ORIGIN, Convention.OWN


def judgement(number: int, script: str, origin: Answer, own: Answer = SAME, codes: tuple[str, ...] = ()) -> Judgement:
    answers = {ORIGIN: origin, OWN: own}
    return Judgement(UUID(int=number), UUID(int=0), Language.PYTHON, script, 2, 2, answers, codes)


def scripts(*judgements: Judgement):
    judged = JudgedScripts()
    for each in judgements:
        judged.add(each)
    return judged.scripts()


@pytest.mark.parametrize(
    ("convention", "verdict", "codes", "explaining_codes"),
    [
        (ORIGIN, CallVerdict.FAILS, ["P7", "P1", "P4"], ["P7"]),
        (OWN, CallVerdict.FAILS, ["P7", "P1", "P4"], ["P1", "P4", "P7"]),
        (ORIGIN, CallVerdict.WORKS, ["E1", "N2"], ["E1"]),
        (OWN, CallVerdict.FAILS, ["N2"], ["N2"]),
        (ORIGIN, CallVerdict.SAME, ["P7"], []),
    ],
)
def test_a_finding_explains_the_verdicts_that_it_can_cause(convention, verdict, codes, explaining_codes):
    assert explaining(convention, verdict, codes) == explaining_codes


def test_the_calls_of_a_script_are_told_together():
    failing = Answer(CallVerdict.FAILS, error="SCRIPT_ERROR NameError")
    found = scripts(
        judgement(1, "a", Answer(CallVerdict.DIFFERS, "/x"), failing, ("P4", "P5")),
        judgement(2, "a", Answer(CallVerdict.SAME, notes=frozenset({Note.LARGE_INTEGER})), failing, ("P4", "P5")),
        judgement(3, "b", SAME),
    )
    assert [(each.script_hash, each.calls, each.is_same) for each in found] == [("a", 2, False), ("b", 1, True)]
    first = found[0]
    assert first.verdicts == {ORIGIN: {CallVerdict.DIFFERS: 1, CallVerdict.SAME: 1}, OWN: {CallVerdict.FAILS: 2}}
    assert first.codes == {ORIGIN: ["P5"], OWN: ["P4", "P5"]}
    assert first.locations == {ORIGIN: ["at /x"], OWN: ["SCRIPT_ERROR NameError"]}
    assert first.notes == [Note.LARGE_INTEGER]


def test_scripts_that_differ_come_first_and_then_those_of_most_calls():
    found = scripts(
        judgement(1, "rare", SAME),
        *(judgement(number, "often", SAME, Answer(CallVerdict.FAILS)) for number in range(2, 5)),
        judgement(5, "varies", Answer(CallVerdict.VARIES)),
        judgement(6, "wrong", Answer(CallVerdict.FAILS, error="EXECUTION_TIMEOUT")),
    )
    assert [each.script_hash for each in found] == ["wrong", "often", "rare", "varies"]
    assert [each.is_same for each in found] == [False, True, True, True]


def test_at_most_three_places_are_told_the_most_frequent_first():
    answers = [Answer(CallVerdict.DIFFERS, pointer) for pointer in ("/a", "/b", "/b", "/c", "/d", "")]
    found = scripts(*(judgement(number, "a", answer) for number, answer in enumerate(answers)))
    assert found[0].locations[ORIGIN] == ["at /b", "at /a", "at /c"]
    assert scripts(judgement(1, "a", answers[-1]))[0].locations[ORIGIN] == ["at (the whole result)"]
