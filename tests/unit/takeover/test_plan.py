from datetime import timedelta

import pytest
from attrs import evolve

from domain.takeover.cached import CacheCensus
from domain.takeover.census import Census
from domain.takeover.inspection import ReadSpeed, SourceColumn, SourceConstraint, SourceCounts
from domain.takeover.plan import (
    ClockDifference,
    Generation,
    GenerationEvidence,
    fence_log_bytes,
    missing_grants,
    quoted,
)
from tests.unit.takeover.builders import COLUMNS, FACTS, NOW, POLICY, SCHEMA, SERVER, head, table

SECOND = timedelta(seconds=1)
UNZONED = evolve(
    SCHEMA, columns={**COLUMNS, "expires_at": SourceColumn("expires_at", "timestamp without time zone", False)}
)


@pytest.mark.parametrize(("ahead_s", "accepted"), [(0, True), (-4.8, True), (4.9, False), (-6, False)])
def test_clocks_may_differ_by_five_seconds_with_the_error(ahead_s: float, accepted: bool):
    assert ClockDifference(ahead_s * SECOND, SECOND / 5).is_acceptable is accepted


def test_a_role_with_all_rights_needs_no_grant():
    assert missing_grants(SCHEMA, SERVER) == {"plan, copy, verify": [], "adopt": [], "back": []}


def test_each_command_is_told_its_grants():
    poor = table(can_use=False, can_select=False, can_insert=False, can_update=False, can_fence=False)
    functions = table(name="functions", can_select=False)
    schema = evolve(SCHEMA, tables={"sessions": poor, "functions": functions, "scripts": table(name="scripts")})
    assert missing_grants(schema, SERVER) == {
        "plan, copy, verify": [
            'GRANT USAGE ON SCHEMA "meta" TO reader;',
            'GRANT SELECT ON "meta".sessions TO reader;',
            'GRANT SELECT ON "meta".functions TO reader;',
        ],
        "adopt": ['GRANT UPDATE (expires_at) ON "meta".sessions TO reader;'],
        "back": ['GRANT INSERT, UPDATE ON "meta".sessions TO reader;'],
    }


def test_with_redis_rows_are_written_before_sessions_move():
    assert missing_grants(SCHEMA, SERVER, with_redis=True)["adopt"] == []
    schema = evolve(SCHEMA, tables={"sessions": table(can_insert=False, can_update=False)})
    assert missing_grants(schema, SERVER, with_redis=True)["adopt"] == [
        'GRANT INSERT, UPDATE ON "meta".sessions TO reader;'
    ]


@pytest.mark.parametrize(
    ("chosen", "keys", "expected"),
    [(Generation.G1, None, True), (Generation.G3, 5, False), (None, 5, True), (None, 0, False), (None, None, False)],
)
def test_the_origin_uses_redis_if_that_is_said_or_seen(chosen, keys, expected):
    cache = None if keys is None else CacheCensus(NOW, keys=keys)
    evidence = GenerationEvidence("0.1.0", redis_keys=None)
    assert evolve(FACTS, chosen=chosen, cache=cache, evidence=evidence).uses_redis is expected


def test_users_need_their_own_grant_and_triggers_none():
    schema = evolve(
        SCHEMA,
        tables={"sessions": table(), "users": table(name="users", can_insert=False)},
        triggers=["update_session_on_execute"],
        constraints=[SourceConstraint("fk", "f", "FOREIGN KEY (user_id) REFERENCES users(user_id)")],
    )
    assert missing_grants(schema, SERVER)["back"] == [
        'GRANT SELECT, INSERT ON "meta".users TO reader;',
    ]


def test_without_the_table_there_is_nothing_to_grant():
    assert missing_grants(evolve(SCHEMA, tables={}), SERVER) == {}


def test_identifiers_are_quoted():
    assert quoted('my "schema"') == '"my ""schema"""'


def test_the_log_of_the_fence_grows_with_the_sessions_and_the_indexes():
    few, many = fence_log_bytes(table(), 10), fence_log_bytes(table(), 1000)
    assert few < many < fence_log_bytes(table(indexes=8), 1000)
    assert fence_log_bytes(table(), 0) == 0


@pytest.mark.parametrize(
    ("changes", "countable"),
    [
        ({}, True),
        ({"schema": evolve(SCHEMA, tables={})}, False),
        ({"schema": evolve(SCHEMA, tables={"sessions": table(kind="v")})}, False),
        ({"schema": evolve(SCHEMA, tables={"sessions": table(can_select=False)})}, False),
        ({"schema": evolve(SCHEMA, tables={"sessions": table(can_use=False)})}, False),
        ({"schema": evolve(SCHEMA, columns={**COLUMNS, "context": SourceColumn("context", "text", False)})}, False),
        ({"schema": UNZONED}, False),
        ({"schema": UNZONED, "timezone": "UTC"}, True),
    ],
)
def test_sessions_are_counted_only_if_they_can_be_read_as_they_are(changes: dict[str, object], countable: bool):
    assert evolve(FACTS, **changes).is_countable is countable


def test_the_operator_decides_the_generation_if_he_names_one():
    assert FACTS.generations == {Generation.G3}
    assert evolve(FACTS, chosen=Generation.G1).generations == {Generation.G1}


def test_old_rows_are_what_the_statistics_have_beyond_the_counts():
    counts = SourceCounts(live=100, retained=50, fenced=1, last_live=None)
    assert FACTS.dead_estimated == 0
    assert evolve(FACTS, counts=counts).dead_estimated == 849
    assert evolve(FACTS, counts=evolve(counts, live=5000)).dead_estimated == 0


def test_the_time_of_a_copy_follows_from_the_speed_that_was_measured():
    census = Census(POLICY, NOW)
    list(census.add([head("x" * 9000)]))
    facts = evolve(FACTS, census=census, speed=ReadSpeed(1000, 0.5))
    assert facts.read_s == pytest.approx(0.5 * census.size_bytes / 1000)
    assert evolve(facts, speed=ReadSpeed(0, 0.1)).read_s is None
    assert FACTS.read_s is None
