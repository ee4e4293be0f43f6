from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

from domain.takeover.inspection import SourceColumn, SourceConstraint, SourceSchema
from tests.unit.takeover.builders import COLUMNS, SCHEMA, SERVER


@pytest.mark.parametrize(("number", "version"), [(90624, "9.6"), (100023, "10"), (140011, "14"), (180006, "18")])
def test_the_version_is_written_as_postgresql_names_it(number: int, version: str):
    assert evolve(SERVER, version_number=number).major_version == version


def test_the_fingerprint_has_what_the_role_may_see_and_no_address():
    assert SERVER.fingerprint == {
        "system_identifier": "77",
        "database_oid": "16384",
        "database": "lambda",
        "schema": "meta",
    }
    assert "system_identifier" not in evolve(SERVER, system_identifier=None).fingerprint


def test_a_database_is_known_by_its_cluster_and_oid():
    assert SERVER.same_database(evolve(SERVER, schema="other", role="other"))
    assert not SERVER.same_database(evolve(SERVER, database_oid="1"))
    assert not SERVER.same_database(evolve(SERVER, system_identifier="78"))


def test_without_the_identifier_the_start_of_the_server_tells():
    unseen = evolve(SERVER, system_identifier=None)
    assert SERVER.same_database(unseen)
    assert not SERVER.same_database(evolve(unseen, started_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(1)))


def test_an_id_that_is_not_unique_is_no_key():
    schema = SourceSchema({}, {}, [SourceConstraint("k", "u", "UNIQUE (user_id)")], [], [])
    assert not schema.has_key
    assert schema.sessions is None
    assert not schema.refers_to_users


def test_columns_that_are_missing_or_have_another_type_are_named():
    assert (SCHEMA.unreadable, SCHEMA.missing, SCHEMA.required) == ([], [], [])
    changed = {name: column for name, column in COLUMNS.items() if name not in {"status", "metadata"}}
    changed["context"] = SourceColumn("context", "text", is_required=False)
    changed["tenant"] = SourceColumn("tenant", "integer", is_required=True)
    schema = evolve(SCHEMA, columns=changed)
    assert schema.unreadable == ["status", "context"]
    assert schema.missing == ["metadata"]
    assert schema.required == ["tenant"]
