"""Schemas of many kinds: which are accepted, and what is said of values that do not fit them."""

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.json_schema.compiler import JsonSchemaCompiler
from domain.functions.schema import SchemaRefused
from domain.json_text import JsonText
from tests.unit.json_schema.generated_schemas import ACCEPTED, REFUSED

ROWS = [json.loads(line) for line in Path(__file__).with_name("corpus.jsonl").read_text("utf-8").splitlines()]
"""One schema in each line: with `refused_at`, pointers into it, or with values that fit, and others with problems."""


def rows(field: str) -> list[Any]:
    return [pytest.param(row, id=f"{row['group']}: {row['name']}") for row in ROWS if field in row]


def text(value: object) -> JsonText:
    return JsonText(json.dumps(value))


def test_the_corpus_is_broad():
    assert len(ROWS) + len(ACCEPTED) + len(REFUSED) > 250
    assert len({(row["group"], row["name"]) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", rows("fits"))
async def test_a_schema_of_the_corpus_is_accepted_and_checks_values(row):
    schema = await JsonSchemaCompiler().compile(text(row["schema"]))
    assert [schema.problems(text(value)) for value in row["fits"]] == [()] * len(row["fits"])
    for value, expected in row["misfits"]:
        assert [[problem.pointer, problem.message] for problem in schema.problems(text(value))] == expected


@pytest.mark.parametrize("row", rows("refused_at"))
async def test_a_schema_of_the_corpus_is_refused_where_it_is_wrong(row):
    with pytest.raises(SchemaRefused) as caught:
        await JsonSchemaCompiler().compile(text(row["schema"]))
    assert sorted({problem.pointer for problem in caught.value.problems}) == row["refused_at"]


@pytest.mark.parametrize("name", ACCEPTED)
async def test_a_generated_schema_is_accepted(name):
    await JsonSchemaCompiler().compile(text(ACCEPTED[name]))


@pytest.mark.parametrize("name", REFUSED)
async def test_a_generated_schema_is_refused(name):
    with pytest.raises(SchemaRefused):
        await JsonSchemaCompiler().compile(text(REFUSED[name]))
