"""Rules for the files of migrations: released ones never change, and later ones work beside the previous release."""

import json
import re
from itertools import zip_longest
from pathlib import Path

import pytest

from adapters.postgres.migrations.migration import Migration, load_migrations

RECORDED = Path(__file__).parents[2] / "upgrade/recorded"
FIRST_BESIDE = [0, 2, 0]
"""From the release after this one on, migrations work beside the previous release."""


def numbers(version):
    return [int(part) for part in version.split(".")]


RELEASES = sorted((path.stem for path in RECORDED.glob("*.json")), key=numbers)


def latest_of(version):
    """Return the number of a release's newest migration."""
    return json.loads((RECORDED / f"{version}.json").read_text())["latest"]


def undeclared(steps, latest):
    """Return the steps after `latest` that do not declare to work beside the release with that newest migration."""
    later = [step for step in steps if step.version > latest]
    return [str(step) for step in later if step.works_beside is None or step.works_beside > latest]


@pytest.mark.parametrize("version", RELEASES)
def test_no_migration_of_a_release_has_changed(version):
    dump = (RECORDED / f"{version}.sql").read_text()
    released = re.findall(r"^(\d+)\t(\w+)\t([0-9a-f]{64})\t", dump, re.MULTILINE)
    assert len(released) == latest_of(version)
    steps = load_migrations()[: len(released)]
    assert released == [(str(step.version), step.name, step.checksum) for step in steps]


def test_every_migration_after_a_release_declares_to_work_beside_it():
    beside = [each for each in RELEASES if numbers(each) >= FIRST_BESIDE]
    for version, following in zip_longest(beside, beside[1:]):
        steps = load_migrations()[: latest_of(following) if following else None]
        assert undeclared(steps, latest_of(version)) == []


def blocking_indexes(steps, latest):
    """Return the steps after `latest` that block the writers of an earlier table while they build an index."""
    return [
        str(step)
        for step in steps
        if step.version > latest
        and any(
            "CONCURRENTLY" not in index and not re.search(f"CREATE (UNLOGGED )?TABLE {table} ", step.up)
            for index, table in re.findall(r"^(CREATE (?:UNIQUE )?INDEX .*?)ON (meta\.\w+)", step.up, re.MULTILINE)
        )
    ]


def test_no_migration_after_a_release_blocks_writers_by_an_index():
    beside = [latest_of(each) for each in RELEASES if numbers(each) >= FIRST_BESIDE]
    assert blocking_indexes(load_migrations(), min(beside, default=load_migrations()[-1].version)) == []
    assert "0008_execution_ids" in blocking_indexes(load_migrations(), 1)
    built = "-- concurrently\nCREATE INDEX CONCURRENTLY by_a ON meta.a (b);\n"
    assert blocking_indexes([Migration(1, "step", built, "")], 0) == []
    made = "CREATE TABLE meta.a (b int);\nCREATE INDEX by_a ON meta.a (b);\n"
    assert blocking_indexes([Migration(1, "step", made, "")], 0) == []


def test_options_of_columns_are_statements_of_their_own_because_citus_refuses_them_in_buckets():
    for step in load_migrations():
        in_bucket = step.at("bucket_1")
        assert not re.search("SET (STORAGE|STATISTICS)", "".join(in_bucket.texts)), step
        assert step.texts == [step.up]


def test_a_bucket_gets_one_statement_in_a_message_and_functions_as_a_whole():
    text = "CREATE TABLE meta.a (b int);\nCREATE FUNCTION meta.c() RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n  RETURN 1;\n"
    text += "END\n$$;\nALTER TABLE meta.a ALTER COLUMN b SET STATISTICS 0;\nALTER TABLE meta.a ADD COLUMN d int;\n"
    table, function, column = Migration(1, "a", text, "").at("x").texts
    assert (table.strip(), column.strip()) == ("CREATE TABLE x.a (b int);", "ALTER TABLE x.a ADD COLUMN d int;")
    assert re.fullmatch(r"\s*CREATE FUNCTION x\.c.*END\n\$\$;", function, re.DOTALL)


def test_the_numbers_of_migrations_have_no_gap():
    assert [step.version for step in load_migrations()] == list(range(1, len(load_migrations()) + 1))


def test_a_declaration_names_a_migration_of_the_previous_release():
    up = ["SELECT 1", "-- works beside 0001", "-- works beside 0002", "SELECT 1"]
    steps = [Migration(number, "step", text, "") for number, text in enumerate(up, start=1)]
    assert undeclared(steps, 1) == ["0003_step", "0004_step"]
