"""What a state may be, and merge patches."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.json_text import JsonText
from domain.states.limits import StateFaultKind, StateLimits
from domain.states.merging import merged

LIMITS = StateLimits()
SMALL = StateLimits(size_max=100, keys_max=3, key_length_max=5, value_size_max=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
objects = st.dictionaries(st.text(max_size=3), json_values, max_size=4)


@pytest.mark.parametrize(
    ("text", "kind", "limit", "observed"),
    [
        ('{"a":"' + 93 * "x" + '"}', StateFaultKind.TOO_LARGE, 100, 101),
        ('{"a":1,"b":2,"c":3,"d":4}', StateFaultKind.TOO_LARGE, 3, 4),
        ('{"abcdef":1}', StateFaultKind.TOO_LARGE, 5, 6),
        ('{"a":"' + 19 * "x" + '"}', StateFaultKind.TOO_LARGE, 20, 21),
        ('{"a":"ééééééééé é"}', StateFaultKind.TOO_LARGE, 20, 23),
        ("[1]", StateFaultKind.NOT_SERIALIZABLE, None, None),
        ("1", StateFaultKind.NOT_SERIALIZABLE, None, None),
        ('{"a":1e999}', StateFaultKind.NOT_SERIALIZABLE, None, None),
    ],
)
def test_what_cannot_be_saved_has_its_limit_and_what_was_observed(
    text: str, kind: StateFaultKind, limit: int | None, observed: int | None
) -> None:
    fault = SMALL.fault(JsonText(text))
    assert fault is not None
    assert (fault.kind, fault.limit, fault.observed) == (kind, limit, observed)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"a":"' + 18 * "x" + '"}',
        '{"abcde":1,"b":2,"c":3}',
        '{ "a" : [1, 2.50, null] }',
    ],
)
def test_what_is_within_the_limits_can_be_saved(text: str) -> None:
    assert SMALL.fault(JsonText(text)) is None


def test_a_state_may_be_nested_as_deep_as_an_event_around_it_may_be() -> None:
    deepest = '{"a":' * 98 + "1" + "}" * 98
    assert LIMITS.fault(JsonText(deepest)) is None
    fault = LIMITS.fault(JsonText(f'{{"a":{deepest}}}'))
    assert fault is not None
    assert "98 levels" in fault.message


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_rfc_7396_hold(target: Any, patch: Any, expected: Any) -> None:
    assert json.loads(merged(JsonText(json.dumps(target)), JsonText(json.dumps(patch)))) == expected


@given(target=objects, patch=objects)
def test_a_patch_that_is_applied_again_changes_nothing_more(target: Any, patch: Any) -> None:
    once = merged(JsonText(json.dumps(target)), JsonText(json.dumps(patch)))
    assert merged(once, JsonText(json.dumps(patch))) == once


@given(target=objects, patch=objects)
def test_a_patch_keeps_every_member_that_it_does_not_name(target: Any, patch: Any) -> None:
    found = json.loads(merged(JsonText(json.dumps(target)), JsonText(json.dumps(patch))))
    assert {name: value for name, value in found.items() if name not in patch} == {
        name: value for name, value in target.items() if name not in patch
    }
