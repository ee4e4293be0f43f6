"""Statements for a bucket differ from those for a plain database in names of tables and of the schema, and in no more."""

import re

import attrs
import pytest

from adapters.postgres.connections.statement import Statement, UnknownTable
from adapters.postgres.migrations.migration import load_migrations
from adapters.postgres.statements.catalogue import load_statements

_TABLE = re.compile(r"^CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?meta\.(\w+)", re.MULTILINE)
TABLES = sorted({table for step in load_migrations() for table in _TABLE.findall(step.up)} | {"migrations"})
SHARDS = {table: number for number, table in enumerate(TABLES, start=102008)}
STATEMENTS = [
    statement
    for holder in attrs.astuple(load_statements(), recurse=False)
    for statement in attrs.astuple(holder, recurse=False)
]


def undone(text: str) -> str:
    shards = re.sub(r"\bbucket_7\.(\w+)_102\d{3}\b", r"meta.\1", text)
    return re.sub(r"\bbucket_7\b", "meta", shards)


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda each: each.name)
def test_a_statement_for_a_bucket_differs_only_in_names(statement: Statement):
    placed = statement.at("bucket_7", SHARDS)
    assert undone(placed.sql) == statement.sql
    assert not re.search(r"\bmeta\b", placed.sql)
    assert undone(placed.numbered.decode()) == statement.numbered.decode()
    assert attrs.evolve(placed, sql=statement.sql) == statement


def test_a_statement_for_a_bucket_names_its_shards_and_its_functions():
    statement = Statement("x", "SELECT meta.f(a.b) FROM meta.audit AS a WHERE 'meta' = 'metadata' AND a.c = %(d)s")
    text = "SELECT bucket_7.f(a.b) FROM bucket_7.audit_9 AS a WHERE 'bucket_7' = 'metadata' AND a.c = %(d)s"
    assert statement.at("bucket_7", {"audit": 9}).sql == text


def test_on_the_coordinator_a_statement_for_a_bucket_names_its_tables():
    statement = Statement("select_it", "SELECT * FROM meta.audit")
    assert statement.at("bucket_7", {}).sql == "SELECT * FROM bucket_7.audit"


def test_a_table_without_a_shard_is_an_error():
    # Its name would be that of the distributed table, whose statements another planner plans, without the hold.
    with pytest.raises(UnknownTable, match="audit"):
        Statement("select_it", "SELECT * FROM meta.audit").at("bucket_7", {"sessions": 9})
