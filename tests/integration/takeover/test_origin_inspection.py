"""Facts about databases of the origin, in each of their variants."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from domain.takeover.inspection import Variant
from domain.takeover.source import SourceAddress
from entrypoints.composition.takeover import origin_inspector
from tests.integration.takeover.test_origin_database import role
from tests.origin.databases import fill, origin_database

LONG_AGO = datetime(1500, 1, 1, tzinfo=UTC)
NOTHING_IS_OLD = timedelta(days=3650)


@asynccontextmanager
async def inspected(url: str, **address: str):
    async with origin_inspector(SourceAddress(url, **address)) as inspector:
        yield inspector


@pytest.mark.parametrize("variant", ["a", "b", "c", "d"])
async def test_each_variant_is_recognised_and_read(server_url, variant):
    with origin_database(server_url, variant) as url:
        if variant != "d":
            fill(url, 50, 64, users=variant == "b")
        async with inspected(url) as inspector:
            schema = await inspector.schema()
            now = await inspector.now()
            counts = await inspector.counts(now - timedelta(days=1))
            heads = [head async for page in inspector.heads(LONG_AGO) for head in page]
            assert await inspector.other_schemas() == {"meta": True}
            functions = await inspector.functions()
    assert schema.variant is Variant(variant)
    assert schema.has_key
    assert schema.lacks_zone is (variant == "d")
    assert schema.refers_to_users is (variant == "b")
    assert bool(schema.triggers) is (variant in "bc")
    rows = 0 if variant == "d" else 50
    assert (counts.live + counts.retained, len(heads)) == (rows, rows)
    assert {function.language for function in functions} == {"nodejs", "python", "rust"}


async def test_instants_without_a_zone_are_those_of_the_zone_that_is_named(server_url):
    with origin_database(server_url, "d") as url:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(
                "INSERT INTO meta.sessions (request_id, language_title, created_at, expires_at, status, context) "
                "VALUES ('x', 'python-a', '2100-01-01 00:00', '2100-01-01 01:00:00.000001', 'active', '[]')"
            )
        async with inspected(url, timezone="Asia/Tokyo") as inspector:
            ((head,),) = [page async for page in inspector.heads(LONG_AGO)]
    assert head.row.created_at == datetime(2099, 12, 31, 15, tzinfo=UTC)
    assert head.row.expires_at == datetime(2099, 12, 31, 16, 0, 0, 1, tzinfo=UTC)
    assert (head.row.execution_count, head.row.metadata, head.row.artifact_bytes) == (0, None, None)


async def test_a_head_has_sizes_in_the_place_of_bodies(odd_origin_url):
    with psycopg.connect(odd_origin_url, autocommit=True) as admin:
        admin.execute(
            "UPDATE meta.sessions SET script_content = 'é', context = '{\"a\": \"é\"}', "
            "compiled_artifact = 'abc', metadata = to_jsonb(repeat('x', 20000)) WHERE language_title = 'nodejs-'"
        )
    async with inspected(odd_origin_url) as inspector:
        heads = [head async for page in inspector.heads(LONG_AGO) for head in page]
    (head,) = [head for head in heads if head.row.language_title == "nodejs-"]
    assert (head.script_bytes, head.context_bytes, head.row.artifact_bytes) == (2, 11, 3)
    assert (head.row.script_content, head.row.context, head.row.metadata) == ("x", "{}", "null")
    by_context = {head.row.context for head in heads}
    assert by_context == {"{}", "null", None}
    unfit = [head.row for head in heads if not head.row.instants_fit]
    assert len(unfit) == 3
    assert all(None in (row.created_at, row.expires_at) for row in unfit)


async def test_a_stored_hash_is_compared_with_the_script(origin_url):
    fill(origin_url, 4, 64)
    hashed = "UPDATE meta.sessions SET script_hash = encode(sha256(convert_to(script_content, 'UTF8')), 'hex')"
    with psycopg.connect(origin_url, autocommit=True) as admin:
        ids = [each for (each,) in admin.execute(f"{hashed} RETURNING request_id").fetchall()]
        admin.execute("UPDATE meta.sessions SET script_hash = repeat('0', 64) WHERE request_id = %s", [ids[0]])
        admin.execute("UPDATE meta.sessions SET script_hash = NULL WHERE request_id = %s", [ids[1]])
    async with inspected(origin_url) as inspector:
        heads = [head async for page in inspector.heads(LONG_AGO) for head in page]
    assert len(heads) == 4
    assert [head.row.request_id for head in heads if head.hash_differs] == [ids[0]]


async def test_scripts_and_marks_of_older_releases_are_found(origin_url):
    fill(origin_url, 100, 64, pending=True)
    async with inspected(origin_url) as inspector:
        assert await inspector.written_by_older()
        ids = [head.row.request_id async for page in inspector.heads(LONG_AGO) for head in page]
        scripts = await inspector.scripts(ids[:3])
        assert set(scripts) == set(ids[:3])
        speed = await inspector.read_speed()
        assert speed.size_bytes > 90 * 64
        assert speed.elapsed_s > 0
        assert await inspector.logs() == {"error_logs": 0, "request_logs": 0}


async def test_the_rights_of_the_role_are_those_that_were_granted(origin_url):
    grants = ("GRANT USAGE ON SCHEMA meta", "GRANT SELECT, UPDATE (expires_at) ON meta.sessions")
    with role(origin_url, *grants) as url:
        async with inspected(url) as inspector:
            server, schema = await inspector.server(), await inspector.schema()
    table = schema.tables["sessions"]
    assert (table.can_use, table.can_select, table.can_fence) == (True, True, True)
    assert (table.can_insert, table.can_update) == (False, False)
    assert not schema.tables["functions"].can_select
    assert server.role.startswith("reader_")


async def test_the_clock_of_one_server_is_the_same_over_two_connections(origin_url):
    async with inspected(origin_url) as one, inspected(origin_url) as other:
        (first, first_error), (second, second_error) = await one.clock_offset(), await other.clock_offset()
        assert abs(first - second) <= first_error + second_error + timedelta(milliseconds=1)
        assert (await one.server()).same_database(await other.server())


async def test_two_databases_of_one_server_are_not_the_same(origin_url, database_url):
    async with inspected(origin_url) as source, inspected(database_url) as target:
        assert not (await source.server()).same_database(await target.server())
        assert await target.other_schemas() == {"meta": False}
        assert (await target.schema()).sessions is None


async def test_row_security_that_hides_rows_is_seen(origin_url):
    with psycopg.connect(origin_url, autocommit=True) as admin:
        admin.execute("ALTER TABLE meta.sessions ENABLE ROW LEVEL SECURITY")
    with role(origin_url, "GRANT USAGE ON SCHEMA meta", "GRANT SELECT ON meta.sessions") as url:
        async with inspected(url) as inspector:
            assert (await inspector.schema()).tables["sessions"].hides_rows
    async with inspected(origin_url) as inspector:
        assert not (await inspector.schema()).tables["sessions"].hides_rows
