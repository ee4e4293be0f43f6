"""Schemas are compiled or refused, values are checked, and both are bounded in what they cost."""

import asyncio
import json

import pytest

from adapters.json_schema.compiler import JsonSchemaCompiler, SchemaOptions
from domain.functions.schema import SchemaRefused
from domain.json_text import JsonText
from tests.unit.json_schema.generated_schemas import doubled

DIALECT = "https://json-schema.org/draft/2020-12/schema"
CALCULATOR = {
    "$schema": DIALECT,
    "$id": "https://example.com/calculator",
    "type": "object",
    "properties": {"operation": {"enum": ["add", "to divide"]}, "a": {"$ref": "#/$defs/number"}},
    "required": ["operation", "a"],
    "additionalProperties": False,
    "$defs": {"number": {"$anchor": "n", "type": "number", "minimum": 0, "maximum": 10}},
}


async def problems(schema: object, value: object, compiler: JsonSchemaCompiler | None = None) -> dict[str, str]:
    compiled = await (compiler or JsonSchemaCompiler()).compile(JsonText(json.dumps(schema)))
    text = value if isinstance(value, str) else json.dumps(value)
    return {problem.pointer: problem.message for problem in compiled.problems(JsonText(text))}


async def refusal(schema: object) -> dict[str, str]:
    with pytest.raises(SchemaRefused) as caught:
        await JsonSchemaCompiler().compile(JsonText(json.dumps(schema)))
    return {problem.pointer: problem.message for problem in caught.value.problems}


async def test_a_value_that_fits_has_no_problem():
    assert await problems(CALCULATOR, {"operation": "add", "a": 3}) == {}


async def test_all_misfits_are_listed_with_their_pointers():
    found = await problems(CALCULATOR, {"operation": "x", "a": "1", "b~/": 1})
    assert found == {
        "/operation": "must be one of: add, 'to divide'",
        "/a": "must be of type number",
        "": "has members that are not known here: 'b~/'",
    }
    assert await problems(CALCULATOR, {"a": 11}) == {"": "lacks the member operation", "/a": "must be at most 10"}


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"const": "on"}, 1, "must be on"),
        (False, 1, "must not be there"),
        ({"minimum": 3}, 1, "must be at least 3"),
        ({"pattern": "^a+$"}, '"b"', "must match the pattern ^a+$"),
        ({"format": "date"}, '"yesterday"', "must have the format date"),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, 1, "does not fit any of the schemas under anyOf"),
        ({"oneOf": [True, True]}, 1, "does not fit exactly one of the schemas under oneOf"),
        ({"minItems": 2}, [1], "does not fit minItems: value has less than 2 items"),
        ({"unevaluatedProperties": False}, {"a": 1}, "has members that are not known here: a"),
    ],
)
async def test_a_problem_says_what_the_value_must_be(schema, value, message):
    assert await problems(schema, value) == {"": message}


async def test_a_long_message_is_cut():
    (message,) = (await problems({"enum": ["x" * 1000]}, 1)).values()
    assert len(message) < 400
    assert message.endswith("…")


async def test_a_long_name_is_cut_in_pointers():
    (where,) = await problems({"additionalProperties": False, "propertyNames": True}, {"a": 1})
    assert where == ""
    (where,) = await problems({"additionalProperties": {"type": "null"}}, {"x" * 1000: 1})
    assert len(where) < 200


async def test_problems_are_bounded():
    assert len(await problems({"items": {"type": "null"}}, list(range(1000)))) == 50


async def test_only_the_first_problem_of_a_large_value_is_listed():
    assert await problems({"items": {"type": "null"}}, list(range(5000))) == {"/0": "must be of type null"}


async def test_unknown_formats_are_notes():
    assert await problems({"format": "int64"}, '"x"') == {}


@pytest.mark.parametrize("value", ['"\\ud800"', "9" * 5000, "[" * 100_000])
async def test_a_value_that_cannot_be_decoded_does_not_fit(value):
    (message,) = (await problems({"type": "string"}, value)).values()
    assert message.startswith("cannot be checked with a schema")


async def test_a_schema_may_refer_to_itself_for_members():
    tree = {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "value": {"type": "integer"}}}
    assert await problems(tree, {"left": {"right": {"value": "x"}}}) == {"/left/right/value": "must be of type integer"}


async def test_a_schema_may_refer_to_itself_in_a_list_of_schemas():
    node = {"allOf": [{"properties": {"next": {"$ref": "#"}}}, {"properties": {"value": {"type": "integer"}}}]}
    assert await problems(node, {"next": {"next": {"value": "x"}}}) == {"/next/next/value": "must be of type integer"}


async def test_a_pattern_may_be_long_and_come_twice():
    long = {"pattern": "x" * 1100}
    assert await problems({"items": long, "contains": long}, ["x" * 1100]) == {}


@pytest.mark.parametrize("reference", ["#n", "#/$defs/number", "#/%24defs/a~1b", "#/x-parts/0"])
async def test_references_stay_within_the_schema(reference):
    number = {"type": "number"}
    schema = {"$defs": {"number": {"$anchor": "n", **number}, "a/b": number}, "x-parts": [number], "$ref": reference}
    assert await problems(schema, '"x"') == {"": "must be of type number"}


@pytest.mark.parametrize(
    "reference",
    ["https://example.com/other.json", "file:///etc/passwd", "other", DIALECT, "urn:example:x", "json-schema:///x"],
)
async def test_references_to_elsewhere_are_refused(reference):
    found = await refusal({"properties": {"a": {"$ref": reference}}})
    assert found == {"/properties/a/$ref": "must stay within this schema (#/...): nothing is fetched"}


@pytest.mark.parametrize(
    "reference", ["#/$defs/nothing", "#nothing", "#/type", "#/allOf/7", "#/allOf/x", "#/allOf/" + "9" * 5000]
)
async def test_references_to_nothing_are_refused(reference):
    found = await refusal({"type": "object", "allOf": [True], "properties": {"a": {"$ref": reference}}})
    assert found == {"/properties/a/$ref": "refers to nothing in this schema"}


@pytest.mark.parametrize("pattern", ["(a)\\1", "(?=a)b", "(?<!a)b", "(", "a{1000}{1000}", "\\p{L}{100}"])
async def test_patterns_that_cannot_be_matched_in_linear_time_and_space_are_refused(pattern):
    assert list(await refusal({"properties": {"a": {"pattern": pattern}}})) == ["/properties/a/pattern"]
    (where,) = await refusal({"patternProperties": {pattern: True}})
    assert where.startswith("/patternProperties/")


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"type": "text"}, "/type"),
        ({"properties": {"a": {"minimum": "1"}}}, "/properties/a/minimum"),
        ({"items": [{"type": "string"}]}, "/items"),
        (["type"], ""),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema"),
        ({"properties": {"a": {"$id": "b"}}}, "/properties/a/$id"),
        ({"$id": "http://["}, ""),
        ({"$anchor": "a", "properties": {"b": {"$anchor": "a"}}}, "/properties/b/$anchor"),
        ({"$dynamicRef": "#x"}, "/$dynamicRef"),
        ({"items": {"$dynamicAnchor": "x"}}, "/items/$dynamicAnchor"),
        ({"format": "regex"}, "/format"),
        ({"$ref": "#"}, ""),
        ({"$defs": {"a": {"not": {"$ref": "#/$defs/a"}}}}, ""),
        ({"properties": {f"p{n}": {"pattern": f"^{n}$"} for n in range(200)}}, ""),
        ({"const": "x" * 70_000}, ""),
        (json.loads('{"not":' * 80 + "{}" + "}" * 80), ""),
    ],
)
async def test_a_schema_is_refused_with_a_pointer(schema, where):
    assert where in await refusal(schema)


@pytest.mark.parametrize(
    "schema",
    [
        doubled(30),
        {"allOf": [{"items": {"$ref": "#"}}] * 40},
        {"items": {"enum": [number + 0.5 for number in range(700)]}},
        {"enum": [[10**20 + number] for number in range(100)]},
        {"allOf": [{"minimum": 1e-300}] * 130},
    ],
)
async def test_schemas_that_may_take_too_long_for_each_value_are_refused(schema):
    (message,) = (await refusal(schema)).values()
    assert message.startswith("may take more than 100000 steps to check one value")


JSON_VALUE = {
    "anyOf": [
        {"type": ["null", "boolean", "number", "string"]},
        {"type": "array", "items": {"$ref": "#"}},
        {"type": "object", "additionalProperties": {"$ref": "#"}},
    ]
}


async def test_a_schema_that_refers_to_itself_twice_costs_more_for_deeper_values():
    assert await problems(JSON_VALUE, {"a": [1, {"b": [[[]]]}]}) == {}
    assert await problems(JSON_VALUE, [{"a": [n]} for n in range(1000)]) == {}
    (message,) = (await problems(JSON_VALUE, "[" * 20 + "]" * 20)).values()
    assert "nest it less deeply" in message


async def test_brackets_in_strings_and_beside_each_other_are_no_depth():
    assert await problems(JSON_VALUE, ["[{" * 100, [], [], {}] * 20) == {}
    doubled_lists = {"type": ["array", "integer"], "allOf": [{"items": {"$ref": "#"}}] * 2}
    found = await problems(doubled_lists, [["x"]] * 20)
    assert list(found) == [f"/{n}/0" for n in range(20)]


async def test_a_schema_of_moderate_weight_is_accepted():
    assert await problems(doubled(8), '"x"') == {"": "must be of type integer"}


async def test_a_value_that_is_too_large_for_a_heavy_schema_does_not_fit():
    heavy = {"items": {"enum": list(range(5000))}}
    assert await problems(heavy, [1] * 1000) == {}
    (message,) = (await problems(heavy, [1] * 3000)).values()
    assert "send less" in message


async def test_brackets_and_commas_in_strings_cost_nothing():
    schema = {"items": {"anyOf": [{"type": "string"}, {"enum": list(range(5000))}]}}
    assert await problems(schema, [",[{:" * 10_000]) == {}


async def test_a_string_that_is_too_large_for_a_costly_pattern_does_not_fit():
    email = {"pattern": r"^[^\s@]+@[^\s@]+\.[^\s@]+$"}
    assert await problems(email, json.dumps("a@" + "b" * 10_000 + ".c")) == {}
    assert "send less" in (await problems(email, json.dumps("a@" + "b" * 500_000 + ".c")))[""]
    assert await problems({"pattern": "^[a-z]+$"}, json.dumps("b" * 1_000_000)) == {}


async def test_keywords_that_compute_cost_more_than_others():
    values = [1.5] * 40_000
    assert await problems({"items": {"multipleOf": 0.5}}, values[:100]) == {}
    assert "send less" in (await problems({"items": {"multipleOf": 0.5}}, values))[""]
    assert await problems({"items": {"minimum": 0.5}}, values) == {}


@pytest.mark.parametrize(
    ("schema", "few", "many"),
    [
        ({"enum": [number + 0.5 for number in range(100)]}, [99.5] * 100, [99.5] * 1000),
        ({"enum": list(range(5000))}, [1] * 500 + [2.0] * 5, [1] * 500 + [2.0] * 50),
        ({"minimum": 1e-300}, [1e-300] * 1000, [1e-300] * 10_000),
        ({"minimum": 0.5, "maximum": 10**20}, [1, 1.5] * 1000, [1e19] * 10_000),
        ({"multipleOf": 0.1}, [10**300] * 10, [10**300] * 1000),
        ({"allOf": [{"maxLength": 10**6 + number} for number in range(2000)]}, ["x" * 1000], ["x" * 200_000] * 5),
    ],
)
async def test_numbers_cost_by_their_digits_and_strings_by_their_length(schema, few, many):
    assert "send less" not in str(await problems({"items": schema}, few))
    assert "send less" in (await problems({"items": schema}, many))[""]


@pytest.mark.parametrize("item", [lambda number: number, lambda number: {"a": [number]}])
async def test_long_integers_among_unique_items_cost_the_square_of_their_count(item):
    unique = {"uniqueItems": True}
    assert await problems(unique, [item(10**30 + number) for number in range(20)]) == {}
    assert await problems(unique, [item(10**18 + number) for number in range(200)]) == {}
    assert await problems(unique, [item(number) for number in range(20_000)]) == {}
    assert "send less" in (await problems(unique, [item(10**30 + number) for number in range(400)]))[""]


async def test_digits_in_strings_are_no_numbers():
    schema = {"items": {"anyOf": [{"type": "string"}, {"minimum": 0.5}]}}
    assert await problems(schema, ["123456789012345678901234567890.5e-300"] * 5000) == {}


async def test_a_schema_is_compiled_once():
    compiler, text = JsonSchemaCompiler(), JsonText('{"type": "object"}')
    first = await compiler.compile(text)
    assert await compiler.compile(JsonText("".join(text))) is first
    assert await JsonSchemaCompiler().compile(text) is not first


async def test_callers_that_come_together_share_one_compilation():
    compiler, text = JsonSchemaCompiler(), JsonText('{"type": "object"}')
    leaving, *others = [asyncio.create_task(compiler.compile(text)) for _ in range(3)]
    await asyncio.sleep(0)
    leaving.cancel()
    one, other = await asyncio.gather(*others)
    assert one is other
    refused = [compiler.compile(JsonText('{"type": 1}')) for _ in range(3)]
    responses = await asyncio.gather(*refused, return_exceptions=True)
    assert [type(response) for response in responses] == [SchemaRefused] * 3
    with pytest.raises(SchemaRefused):
        await compiler.compile(JsonText('{"type": 1}'))


async def test_compiled_schemas_are_kept_up_to_a_bound():
    compiler = JsonSchemaCompiler(SchemaOptions(cache_size_max=40_000))
    texts = [JsonText(f'{{"minimum": {n}}}') for n in range(3)]
    kept = [await compiler.compile(text) for text in texts]
    assert await compiler.compile(texts[2]) is kept[2]
    assert await compiler.compile(texts[0]) is not kept[0]
