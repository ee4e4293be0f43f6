"""What becomes of functions of the origin: their forms, and why some are left."""

import json
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from domain.functions.function import DESCRIPTION_SIZE_MAX, FunctionType
from domain.scripts.language import Language, LanguageTitle
from domain.takeover.functions import (
    FunctionFlag,
    FunctionOffer,
    FunctionReason,
    FunctionRow,
    LeftFunction,
    is_json,
    offered,
    read_examples,
    read_schema,
)
from domain.takeover.languages import MappingRule, OriginLanguages, OriginRuntime
from tests.unit.takeover.builders import NOW

ROW = FunctionRow(
    language_title="python-adder",
    description="Adds",
    schema_definition='{"type": "object"}',
    examples='[{"a": 1, "result": 2}]',
    created_at=NOW,
    updated_at=NOW,
    created_by=None,
    is_active=True,
    version="1.0.0",
    tags=("math",),
    content="result = params['a'] + 1",
    content_bytes=24,
)


def offer_of(row: FunctionRow) -> FunctionOffer:
    found = offered(row, OriginLanguages(), 100)
    assert isinstance(found, FunctionOffer)
    return found


def test_a_function_is_offered_as_it_is_stored():
    found = offer_of(ROW)
    assert found.language_title == LanguageTitle(Language.PYTHON, "adder")
    assert (found.source, found.description, found.tags) == (ROW.content, "Adds", ("math",))
    assert (found.type, found.is_active, found.flags) == (FunctionType.PREDEFINED, True, ())
    assert (found.created_at, found.updated_at) == (NOW, NOW)
    assert json.loads(found.schema.params or "") == {"type": "object"}


def test_a_function_that_somebody_created_is_dynamic():
    assert offer_of(evolve(ROW, created_by="system")).type is FunctionType.DYNAMIC


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"language_title": "rust-x"}, FunctionReason.LANGUAGE_NOT_SERVED),
        ({"language_title": "go-x"}, FunctionReason.LANGUAGE_UNKNOWN),
        ({"language_title": "python-"}, FunctionReason.TITLE_OUTSIDE_GRAMMAR),
        ({"language_title": "python-two words"}, FunctionReason.TITLE_OUTSIDE_GRAMMAR),
        ({"language_title": "python-" + "x" * 122}, FunctionReason.TITLE_OUTSIDE_GRAMMAR),
        ({"content": None, "content_bytes": None}, FunctionReason.NO_SCRIPT),
        ({"content": "", "content_bytes": 0}, FunctionReason.NO_SCRIPT),
        ({"content": None, "content_bytes": 101}, FunctionReason.SCRIPT_TOO_LARGE),
        ({"content": "x" * 101, "content_bytes": 101}, FunctionReason.SCRIPT_TOO_LARGE),
    ],
)
def test_a_function_that_cannot_be_one_here_is_left_with_a_reason(changes, reason):
    row = evolve(ROW, **changes)
    assert offered(row, OriginLanguages(), 100) == LeftFunction(row.language_title, reason)


def test_the_language_is_that_of_the_mapping_file():
    languages = OriginLanguages((MappingRule("adder", OriginRuntime.NODEJS, is_regex=False),))
    assert offered(ROW, languages, 100) == evolve(offer_of(ROW), language_title=LanguageTitle.of("nodejs-python-adder"))


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"description": "ä" * (DESCRIPTION_SIZE_MAX // 2) + "x"}, FunctionFlag.DESCRIPTION_LEFT),
        ({"tags": ("a", "")}, FunctionFlag.TAGS_LEFT),
        ({"tags": ("a", "a")}, FunctionFlag.TAGS_LEFT),
        ({"tags": ("x" * 65,)}, FunctionFlag.TAGS_LEFT),
        ({"tags": tuple(map(str, range(17)))}, FunctionFlag.TAGS_LEFT),
        ({"version": "2.1.0"}, FunctionFlag.VERSION_LEFT),
        ({"is_active": False}, FunctionFlag.DEACTIVATED),
        ({"examples": '[{"a": 1}]'}, FunctionFlag.EXAMPLES_UNREADABLE),
        ({"examples": "too large"}, FunctionFlag.EXAMPLES_UNREADABLE),
        ({"schema_definition": "too large"}, FunctionFlag.SCHEMA_REFUSED),
    ],
)
def test_what_is_left_out_is_flagged(changes, flag):
    assert offer_of(evolve(ROW, **changes)).flags == (flag,)


def test_a_description_and_tags_at_their_limits_are_kept():
    row = evolve(ROW, description="ä" * (DESCRIPTION_SIZE_MAX // 2), tags=("x" * 64, *map(str, range(15))))
    found = offer_of(row)
    assert (found.description, found.tags, found.flags) == (row.description, row.tags, ())
    assert offer_of(evolve(ROW, description=None)).description == ""


def test_every_reason_and_flag_has_words():
    assert all(each.words.endswith(".") for each in [*FunctionReason, *FunctionFlag])


@pytest.mark.parametrize(
    ("stored", "params", "result"),
    [
        (None, None, None),
        ("null", None, None),
        ('{"type": "object"}', {"type": "object"}, None),
        ("true", True, None),
        ("{}", {}, None),
        ('{"params": {"type": "object"}, "result": true}', {"type": "object"}, True),
        ('{"params": {}}', {}, None),
        ('{"result": false}', None, False),
        ('{"params": {}, "type": "object"}', {"params": {}, "type": "object"}, None),
        ("not JSON", None, None),
        ('{"const": 1e999}', None, None),
    ],
)
def test_a_schema_is_that_of_params_or_both(stored, params, result):
    found = read_schema(stored)
    assert [text and json.loads(text) for text in (found.params, found.result)] == [params, result]


def readings_of(stored: Any) -> list[list[tuple[Any, Any]]]:
    readings = read_examples(json.dumps(stored))
    return [[(json.loads(each.params), json.loads(each.result)) for each in one] for one in readings]


def test_an_example_with_a_flat_result_is_read_in_two_ways():
    assert readings_of([{"a": 5, "b": 3, "result": 8}]) == [[({"a": 5, "b": 3}, 8), ({"a": 5, "b": 3}, {"result": 8})]]


def test_an_example_with_request_and_response_is_read_in_two_ways():
    documented = {"description": "d", "request": {"params": {"a": 1}}, "response": {"result": [2]}}
    assert readings_of([documented]) == [[({"a": 1}, [2]), ({"a": 1}, {"result": [2]})]]
    bare = {"request": {"params": 1}, "response": 2}
    assert readings_of([bare]) == [[(1, 2)]]


@pytest.mark.parametrize("other", [1, None, "x", [], {}, {"a": 1}, {"request": {}, "response": {}}, {"request": 1}])
def test_an_example_of_another_form_has_no_reading_and_leaves_the_others(other):
    assert readings_of([other, {"result": 1}]) == [[], [({}, 1), ({}, {"result": 1})]]


@pytest.mark.parametrize("stored", ["{}", "1", '"x"', "too large", "[" * 100_000])
def test_examples_that_are_no_list_have_no_reading(stored):
    assert read_examples(stored) == [()]


@pytest.mark.parametrize("stored", [None, "null", "[]"])
def test_a_function_may_have_no_examples(stored):
    assert read_examples(stored) == []
    assert is_json(stored)


def test_a_number_beyond_a_double_leaves_the_example_out():
    assert read_examples('[{"a": 1e999, "result": 1}]') == [()]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), st.lists).map(json.dumps))
def test_any_json_has_readings(text):
    assert isinstance(read_examples(text), list)
    read_schema(text)
