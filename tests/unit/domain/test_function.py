"""Functions and the rules of their versions."""

from datetime import timedelta
from uuid import UUID

import pytest
from attrs import evolve

from domain.errors import Problem
from domain.functions.function import (
    Definition,
    Example,
    Function,
    FunctionConditionFailed,
    FunctionConflict,
    FunctionNotFound,
    FunctionType,
    FunctionVersionNotFound,
    Precondition,
)
from domain.functions.lists import FunctionFilter, FunctionSummary, FunctionVersion
from domain.functions.schema import (
    FunctionSchema,
    ParamsRefused,
    PinnedVersionNotFound,
    SchemaUnusable,
    in_one_line,
    within,
)
from domain.grants.grants import Grants
from domain.grants.state import StateGrant, StateMode
from domain.identity import Owner
from domain.json_equality import same_json
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import LanguageTitle
from domain.scripts.script import Script
from tests.unit.domain.builders import START

ADDER = LanguageTitle.of("python-adder")
MADE = Definition(
    Script.of("result = 1", 100),
    "One",
    FunctionSchema(params=JsonText('{"type": "object"}')),
    (Example(JsonText("{}"), JsonText("1")),),
    ("one",),
    Convention.EVENT_FIRST,
)
ALICE, BOB = Owner("alice"), Owner("bob")
FUNCTION = Function(UUID(int=1), ALICE, ADDER, MADE, START, START, author=ALICE)
LATER = START + timedelta(hours=1)
OTHER = evolve(MADE, description="Two")


def test_a_replacement_is_the_next_version():
    replaced = evolve(FUNCTION, type=FunctionType.PREDEFINED).replace(OTHER, BOB, LATER)
    assert replaced == Function(
        UUID(int=1), ALICE, ADDER, OTHER, START, LATER, version=2, type=FunctionType.DYNAMIC, author=BOB
    )


@pytest.mark.parametrize(
    "same",
    [
        MADE,
        evolve(MADE, schema=FunctionSchema(JsonText('{"type":"object"}'))),
        evolve(MADE, examples=(Example(JsonText("{ }"), JsonText("1.0")),)),
    ],
)
def test_an_equal_definition_makes_no_version(same):
    assert FUNCTION.replace(same, BOB, LATER) is FUNCTION


@pytest.mark.parametrize(
    "other",
    [
        OTHER,
        evolve(MADE, script=Script.of("result = 2", 100)),
        evolve(MADE, tags=()),
        evolve(MADE, convention=Convention.OWN),
        evolve(MADE, grants=Grants(StateGrant(StateMode.SHARED))),
        evolve(MADE, schema=FunctionSchema()),
        evolve(MADE, schema=FunctionSchema(JsonText("true"))),
        evolve(MADE, examples=()),
        evolve(MADE, examples=(Example(JsonText("{}"), JsonText("true")),)),
    ],
)
def test_each_difference_makes_a_version(other):
    assert FUNCTION.replace(other, BOB, LATER).version == 2


def test_deactivating_again_changes_nothing():
    deactivated = FUNCTION.deactivate(LATER)
    assert deactivated == evolve(FUNCTION, deactivated_at=LATER)
    assert deactivated.deactivate(LATER + timedelta(hours=1)) is deactivated


def test_a_deactivated_function_is_not_found_until_it_is_registered_again():
    deactivated = FUNCTION.deactivate(LATER)
    with pytest.raises(FunctionNotFound):
        deactivated.require_registered()
    again = deactivated.replace(MADE, BOB, LATER)
    assert (again.version, again.deactivated_at) == (2, None)
    assert again.require_registered() is again


@pytest.mark.parametrize(
    "condition",
    [
        Precondition(),
        Precondition(frozenset({"1", "7"})),
        Precondition(frozenset({FUNCTION.tag})),
        Precondition(registered=True),
    ],
)
def test_a_condition_may_hold_for_a_registered_function(condition):
    condition.require(ADDER, FUNCTION)


@pytest.mark.parametrize("stored", [None, FUNCTION.deactivate(LATER)])
@pytest.mark.parametrize("condition", [Precondition(), Precondition(registered=False)])
def test_a_condition_may_hold_without_a_function(condition, stored):
    condition.require(ADDER, stored)


@pytest.mark.parametrize(
    ("condition", "stored", "version"),
    [
        (Precondition(frozenset({"2"})), FUNCTION, 1),
        (Precondition(frozenset({FUNCTION.tag})), evolve(FUNCTION, function_id=UUID(int=99)), 1),
        (Precondition(registered=False), FUNCTION, 1),
        (Precondition(frozenset({"1"})), None, None),
        (Precondition(frozenset({"1"})), FUNCTION.deactivate(LATER), None),
        (Precondition(registered=True), None, None),
    ],
)
def test_a_condition_that_does_not_hold(condition, stored, version):
    with pytest.raises(FunctionConditionFailed) as caught:
        condition.require(ADDER, stored)
    assert caught.value.version == version


def test_lists_show_registered_functions():
    summary = FunctionSummary(ALICE, ADDER, 1, FunctionType.DYNAMIC, "One", ("one",), START, START, ALICE)
    assert FunctionSummary.of(FUNCTION) == summary
    assert FunctionFilter().shows(FUNCTION)
    assert FunctionFilter(frozenset({ALICE}), ADDER.language, FunctionType.DYNAMIC).shows(FUNCTION)
    assert not FunctionFilter(frozenset({BOB})).shows(FUNCTION)
    assert not FunctionFilter(type=FunctionType.PREDEFINED).shows(FUNCTION)
    assert not FunctionFilter(language=LanguageTitle.of("nodejs-x").language).shows(FUNCTION)
    assert not FunctionFilter().shows(FUNCTION.deactivate(LATER))
    assert FunctionFilter(tag="one", text="PYTHON-ADD").shows(FUNCTION)
    assert FunctionFilter(text="one").shows(FUNCTION)
    assert not FunctionFilter(tag="two").shows(FUNCTION)
    assert not FunctionFilter(text="two").shows(FUNCTION)


def test_a_list_of_versions_says_who_registered_what_and_when():
    version = FunctionVersion(1, FunctionType.DYNAMIC, ALICE, START, MADE.script.hash, "One")
    assert FunctionVersion.of(FUNCTION) == version


def test_problems_of_a_part_are_problems_of_the_whole():
    problems = within((Problem("/a", "is wrong"), Problem("", "is odd")), "/params")
    assert problems == (Problem("/params/a", "is wrong"), Problem("/params", "is odd"))
    assert in_one_line((*problems, Problem("", "is large"))) == "/params/a: is wrong; /params: is odd; /: is large"


@pytest.mark.parametrize(
    ("error", "part", "details"),
    [
        (FunctionNotFound(ADDER), "PUT /api/v1/functions/python-adder", {"language_title": "python-adder"}),
        (FunctionNotFound(ADDER), "initialize a session with a script_content", {"language_title": "python-adder"}),
        (FunctionNotFound(ADDER, BOB), "for bob", {"language_title": "python-adder", "owner": "bob"}),
        (
            FunctionVersionNotFound(BOB, ADDER, 3, [5, 4]),
            "Use one of: 5, 4.",
            {"language_title": "python-adder", "owner": "bob", "version": 3, "kept_versions": [5, 4]},
        ),
        (
            PinnedVersionNotFound(ADDER, 3),
            "version 3 of python-adder",
            {"language_title": "python-adder", "version": 3, "executed": "no"},
        ),
        (
            FunctionConditionFailed(ADDER, 3),
            "at version 3",
            {"language_title": "python-adder", "version": 3, "stored": "no"},
        ),
        (FunctionConditionFailed(ADDER, None), "without If-Match", {"language_title": "python-adder", "stored": "no"}),
        (FunctionConflict(), "Repeat", {"stored": "no", "retry_after_ms": 1000}),
        (
            ParamsRefused((Problem("/params/a", "is wrong"),), ADDER, 3),
            "Nothing ran. Correct them and send them again. /params/a: is wrong",
            {
                "problems": [{"pointer": "/params/a", "message": "is wrong"}],
                "language_title": "python-adder",
                "version": 3,
                "executed": "no",
            },
        ),
        (SchemaUnusable(ADDER, 3, "/: is odd"), "cannot be used: /: is odd", {"stored": "no", "executed": "no"}),
    ],
)
def test_errors_have_their_message_and_details(error, part, details):
    assert part in str(error)
    assert error.details == details


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0"),
        ("-0.0", "0"),
        ("1e3", "1000"),
        ('{"a": [1, {"b": null}], "c": 2}', '{"c":2,"a":[1,{"b":null}]}'),
        ('"ä"', '"\\u00e4"'),
        ("9" * 5000, "9" * 5000),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_json_is_the_same_however_it_is_written(one, other):
    assert same_json(JsonText(one), JsonText(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "true"),
        ("0", "false"),
        ("[0]", "[false]"),
        ("1", '"1"'),
        ("null", "0"),
        ("[]", "{}"),
        ("[1, 2]", "[2, 1]"),
        ("[1]", "[1, 1]"),
        ('{"a": 1}', '{"a": 1, "b": 1}'),
        ('{"a": 1}', '{"a": 2}'),
        ("9" * 5000, "8" * 5000),
        ("9007199254740993", "9007199254740992.0"),
        ("[" * 100_000, "[" * 99_999),
    ],
)
def test_json_that_differs_is_not_the_same(one, other):
    assert not same_json(JsonText(one), JsonText(other))
