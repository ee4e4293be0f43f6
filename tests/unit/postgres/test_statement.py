"""Statements have named placeholders as they are written, and numbered ones as they are sent."""

from collections import Counter

import attrs
import pytest

from adapters.postgres.connections.statement import Statement
from adapters.postgres.statements.catalogue import load_statements

TWICE = Statement("select_it", "SELECT %(a)s::text[], %(b)s, %(a)s || '100 %%'")


def test_placeholders_are_numbered_in_the_order_of_their_first_use():
    assert TWICE.numbered == b"SELECT $1::text[], $2, $1 || '100 %'"
    assert TWICE.values({"b": 2, "a": 1, "unused": 3}) == [1, 2]


def test_a_missing_value_is_an_error():
    with pytest.raises(KeyError, match="b"):
        TWICE.values({"a": 1})


def test_without_placeholders_there_are_no_values():
    assert Statement("select_nothing", "SELECT 1").numbered == b"SELECT 1"
    assert Statement("select_nothing", "SELECT 1").values({}) == []


def test_every_statement_is_translated_to_its_end():
    for holder in attrs.astuple(load_statements(), recurse=False):
        for statement in attrs.astuple(holder, recurse=False):
            assert b"%(" not in statement.numbered, statement
            assert statement.numbered.count(b"%") == statement.sql.count("%%"), statement


def test_no_two_statements_have_one_name():
    # A connection knows by its name what it has prepared.
    statements = load_statements()
    names = Counter(
        each.name
        for holder in attrs.astuple(statements, recurse=False)
        for each in attrs.astuple(holder, recurse=False)
    )
    assert [name for name, times in names.items() if times > 1] == []
