"""Every down migration declares the data that it deletes."""

import re

import pytest

from adapters.postgres.migrations.down import (
    Destruction,
    DestructionRefused,
    DownMigration,
    PlannedDown,
    parse_down,
    require_allowed,
)
from adapters.postgres.migrations.migration import Migration, load_migrations

STEPS = load_migrations()

_COMMENT = re.compile(r"--[^\n]*")
_NO_DATA = re.compile(r"(DROP (INDEX|FUNCTION)|CREATE|COMMENT ON|ALTER TABLE meta\.\w+ (ADD|ALTER|DROP CONSTRAINT)) ")
_TABLES = re.compile(r"(?:DROP TABLE|DELETE FROM|TRUNCATE|UPDATE) (meta\.\w+)(?: |$)")
_COLUMN = re.compile(r"ALTER TABLE (meta\.\w+) DROP COLUMN (\w+)")
_COMPUTED = re.compile(r"ALTER TABLE (meta\.\w+) ADD COLUMN (\w+) \w+ GENERATED ALWAYS AS ")
COMPUTED = {column for step in STEPS for column in _COMPUTED.findall(step.up)}
"""The columns that PostgreSQL computes from others. A migration that drops them deletes no data."""

DESCRIBES_STEPS = "meta.migrations"
"""A table without data of callers."""

_CHOSEN = re.compile(r"meta\.\w+")


def undeclared_in(down_migration: DownMigration) -> list[str]:
    """Return the statements that may delete data which no section counts, or counts without a lock."""
    return [each for each in statements_of(down_migration.statements) if not is_declared(each, down_migration)]


def statements_of(text: str) -> list[str]:
    plain = " ".join(_COMMENT.sub("", text).split())
    return [each.strip() for each in plain.split(";") if each.strip()]


def is_declared(statement: str, down_migration: DownMigration) -> bool:
    if _NO_DATA.match(statement):
        return True
    if column := _COLUMN.fullmatch(statement):
        if column.groups() in COMPUTED or column[1] == DESCRIBES_STEPS:
            return True
        named = [column[1], column[2]]
    elif table := _TABLES.match(statement):
        named = [table[1]]
    else:
        return False
    counted = any(all(re.search(rf"\b{name}\b", count) for name in named) for count in down_migration.counts.values())
    return counted and bool(re.search(rf"\b{named[0]}\b", down_migration.lock))


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_every_down_migration_declares_the_data_that_it_deletes(step: Migration):
    assert undeclared_in(step.down_migration) == []


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_every_table_whose_rows_are_counted_is_locked_before(step: Migration):
    counted = {table for count in step.down_migration.counts.values() for table in _CHOSEN.findall(count)}
    assert counted <= set(_CHOSEN.findall(step.down_migration.lock))


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE meta.things",
        "DROP TABLE meta.counted, meta.things",
        "ALTER TABLE meta.counted DROP COLUMN more",
        "ALTER TABLE meta.counted DROP COLUMN kept, DROP COLUMN more",
        "DELETE FROM meta.things WHERE true",
        "TRUNCATE meta.things",
        "UPDATE meta.things SET more = NULL",
        "DROP SCHEMA meta CASCADE",
    ],
)
def test_a_deletion_that_is_not_declared_is_found(statement: str):
    counted = "-- lock\nLOCK TABLE meta.counted;\n-- destroys things\nSELECT count(kept) FROM meta.counted;\n"
    assert undeclared_in(parse_down(f"{counted}-- statements\n{statement};\n")) == [statement]


def test_a_file_without_sections_holds_statements_only():
    assert parse_down("DROP INDEX meta.i;\n") == DownMigration("", {}, "DROP INDEX meta.i;\n")


def test_a_file_whose_sections_lack_the_statements_is_refused():
    with pytest.raises(ValueError, match="statements"):
        parse_down("-- lock\nLOCK TABLE meta.counted;\n")


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({"API_keys": 2}, "2 API keys"),
        ({"sessions": 1}, "1 session"),
        ({"executions": 3, "open_executions": 0}, "3 executions"),
        ({"functions": 0, "versions": 3, "session_pins": 1}, "0 functions (3 versions, 1 session pin)"),
    ],
)
def test_a_loss_is_written_in_words(counts: dict[str, int], text: str):
    assert Destruction("kind", counts).text == text


def test_a_kind_without_rows_is_no_loss():
    assert not Destruction("functions", {"functions": 0, "versions": 0})
    assert Destruction("functions", {"functions": 0, "versions": 1})


def test_a_refusal_names_each_step_with_what_it_would_delete_and_its_option():
    steps = [
        PlannedDown("0002_b", [Destruction("b", {"bees": 2}), Destruction("c", {"cats": 1})]),
        PlannedDown("0001_a", []),
    ]
    with pytest.raises(DestructionRefused) as refused:
        require_allowed(steps, {"c"})
    assert str(refused.value) == (
        "Migrating down would delete data.\n0002_b would delete 2 bees: add --destroy-b to allow it.\nNothing was changed."
    )
    with pytest.raises(DestructionRefused, match=r"Reverted before: 0003_d\.$"):
        require_allowed(steps, {"c"}, [PlannedDown("0003_d", [])])
    require_allowed(steps, {"b", "c"})
