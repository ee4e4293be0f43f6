"""A check takes a bounded time, whatever the schema and the value are.

Times are processor time of the thread, measured in decodings of a megabyte of integers: a slow or a busy machine changes
both. One decoding takes about 10 ms.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from adapters.json_schema.compiler import JsonSchemaCompiler
from domain.functions.schema import SchemaRefused
from domain.json_text import JsonText
from tests.unit.json_schema.generated_schemas import ACCEPTED, REFUSED, TWO_LISTS_OF_ITSELF, doubled, unevaluated

CHECK_MAX = 25
COMPILATION_MAX = 60
MEGABYTE = JsonText("[" + "1," * 500_000 + "1]")


def processor_time(work: Callable[[], object]) -> float:
    start = time.thread_time()
    work()
    return time.thread_time() - start


@pytest.fixture(scope="module")
def decoding() -> float:
    return min(processor_time(lambda: json.loads(MEGABYTE)) for _ in range(3))


def nested(levels: int, leaf: object = 1) -> object:
    for _ in range(levels):
        leaf = [leaf]
    return leaf


def members(schema: object) -> dict[str, object]:
    return {"items": schema}


NULL, BOOLEAN = {"type": "null"}, {"type": "boolean"}
INTEGERS = [1] * 200_000
NAMES = {f"name{n}": 1 for n in range(60_000)}
LIST = {"$ref": "#/$defs/n", "$defs": {"n": {"type": "array", "items": {"$ref": "#/$defs/n"}}}}
OBJECT = {str(n): n for n in range(400)}
HALVES = {"anyOf": [{"pattern": "[ab]*a[ab]{100}c"}, True]}
STEPS = {"anyOf": [{"pattern": "(a|b|ab){1000}c"}, True]}
RUNS = {"anyOf": [{"pattern": "((a[a-z]{1,500})+b)+Z"}, True]}

HOSTILE: dict[str, tuple[Any, Callable[[], object]]] = {
    "a megabyte of empty objects": ({}, lambda: [{}] * 340_000),
    "a megabyte of nested lists": (LIST, lambda: [nested(98, [])] * 5000),
    "a megabyte of text": ({"pattern": "^[a-z]+$"}, lambda: "x" * 1_000_000),
    "a megabyte of huge fractions": ({}, lambda: [1e300] * 140_000),
    "items under any of": ({"anyOf": [members(NULL), members(BOOLEAN)]}, lambda: INTEGERS),
    "items under one of": ({"oneOf": [members(NULL), members(BOOLEAN)]}, lambda: INTEGERS),
    "items under any of, referred to": (
        {"anyOf": [members({"$ref": "#/anyOf/1"}), BOOLEAN], "$defs": {"x": {"$ref": "#/anyOf/0"}}},
        lambda: INTEGERS,
    ),
    "items under nested any of": ({"anyOf": [{"anyOf": [{"anyOf": [members(NULL)]}]}]}, lambda: INTEGERS),
    "any of below dependent schemas": (
        {"dependentSchemas": {"a": {"anyOf": [{"properties": {"b": members(NULL)}}]}}},
        lambda: {"a": 1, "b": INTEGERS},
    ),
    "fifty alternatives for each item": (members({"anyOf": [{"const": n} for n in range(50)]}), lambda: [49] * 20_000),
    "fifty objects, the last of which fits none": (
        members({"oneOf": [{"required": [f"a{n}"]} for n in range(50)]}),
        lambda: [{"a49": 1}] * 12_000 + [{}],
    ),
    "contains nothing": ({"contains": {"const": 0}}, lambda: INTEGERS),
    "contains ten things": (
        {"allOf": [{"contains": {"const": n}} for n in range(10)]},
        lambda: [1] * 150_000 + [*range(10)],
    ),
    "not": ({"not": members({"type": "integer"})}, lambda: INTEGERS),
    "unevaluated items": ({"contains": {"const": 0}, "unevaluatedItems": False}, lambda: INTEGERS),
    "unevaluated members": ({"unevaluatedProperties": False}, lambda: NAMES),
    "unevaluated members at each level": (members(unevaluated(8)), lambda: [{"a": 1}] * 1000 + [{"b": 1}]),
    "names": ({"propertyNames": {"maxLength": 1}}, lambda: NAMES),
    "patterns of names": (
        {"patternProperties": {f"^name{n}$": True for n in range(50)}},
        lambda: {f"name{n}": 1 for n in range(10_000)},
    ),
    "a thousand wrong members": ({"additionalProperties": NULL}, lambda: NAMES),
    "doubled twelve times": (doubled(12), lambda: 1),
    "lists doubled at each level": ({"allOf": [members({"$ref": "#"})] * 2}, lambda: nested(15)),
    "any of lists doubled at each level": (TWO_LISTS_OF_ITSELF, lambda: nested(14)),
    "lists doubled at sixty levels": (TWO_LISTS_OF_ITSELF, lambda: nested(60)),
    "unique long integers": ({"uniqueItems": True}, lambda: [10**30 + n for n in range(20_000)]),
    "unique long integers within the bound": ({"uniqueItems": True}, lambda: [10**30 + n for n in range(190)]),
    "unique objects of long integers": ({"uniqueItems": True}, lambda: [{"a": 10**30 + n} for n in range(20_000)]),
    "unique integers": ({"uniqueItems": True}, lambda: list(range(90_000))),
    "small sets of tiny fractions": (
        members({"uniqueItems": True}),
        lambda: [[n * 1e-300 for n in range(1, 16)]] * 35,
    ),
    "tiny bounds": (members({"minimum": 1e-300}), lambda: [1e-300] * 4000),
    "huge integers beside a fraction": (members({"minimum": 0.5}), lambda: [10**300] * 350),
    "multiples of a tiny fraction": (members({"multipleOf": 1e-300}), lambda: [1e300] * 1300),
    "a choice of fractions": (members({"enum": [n + 0.5 for n in range(100)]}), lambda: [99.5] * 300),
    "a choice of tiny fractions": (members({"enum": [n * 1e-300 for n in range(1, 60)]}), lambda: [59 * 1e-300] * 40),
    "a choice of integers, seen by fractions": (members({"enum": list(range(500))}), lambda: [499.0] * 130),
    "a choice of objects": (
        members({"enum": [{"a": n, "b": [n]} for n in range(100)]}),
        lambda: [{"a": 99, "b": [99]}] * 500,
    ),
    "a large constant": (members({"const": OBJECT}), lambda: [OBJECT] * 14),
    "a pattern of many steps": (STEPS, lambda: "a" * 3900),
    "a pattern of many runs": (RUNS, lambda: "a" * 15_000),
    "a pattern of many states": (HALVES, lambda: "ab" * 30_000),
    "long names of hosts": (members({"format": "idn-hostname"}), lambda: ["ü" * 400] * 1000),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_check_takes_a_bounded_time(name, decoding):
    schema, value = HOSTILE[name]
    compiled = await JsonSchemaCompiler().compile(JsonText(json.dumps(schema)))
    text = JsonText(json.dumps(value(), ensure_ascii=False, separators=(",", ":")))
    # A busy machine can make one measurement longer, and not three.
    assert any(processor_time(lambda: compiled.problems(text)) < CHECK_MAX * decoding for _ in range(3))


@pytest.mark.parametrize(
    "name",
    [
        "a hundred patterns",
        "a long chain of references",
        "a ring of items",
        "fifteen hundred bad patterns",
        "two thousand lists of itself",
    ],
)
async def test_a_compilation_takes_a_bounded_time(name, decoding):
    text = JsonText(json.dumps((ACCEPTED | REFUSED)[name]))
    start = time.process_time()
    with suppress(SchemaRefused):
        await JsonSchemaCompiler().compile(text)
    assert time.process_time() - start < COMPILATION_MAX * decoding
