"""Rows of the origin are read in bounded pages, from every variant of its schema."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from secrets import token_hex

import psycopg
import pytest

from adapters.origin.database import OriginDatabase, OriginDatabaseOptions
from adapters.origin.rows import PostgresOriginReader
from adapters.origin.statements import load_origin_statements
from domain.takeover.reader_ports import OriginReader
from domain.takeover.source import SourceAddress
from domain.takeover.source_session import SourceSession
from tests.contracts.origin_reader import OriginReaderContract, Store, all_heads
from tests.origin.databases import fill, origin_database
from tests.unit.takeover.builders import NOW

STATEMENTS = load_origin_statements()
_INSERT = """
INSERT INTO meta.sessions (
    request_id, language_title, user_id, created_at, expires_at, last_executed_at, execution_count, status, context,
    script_content, script_hash, compile_options, compile_status, compile_error, metadata, compiled_artifact
) VALUES (
    %(request_id)s, %(language_title)s, %(user_id)s, %(created_at)s, %(expires_at)s, %(last_executed_at)s,
    %(execution_count)s, %(status)s, %(context)s, %(script_content)s, %(script_hash)s, %(compile_options)s,
    %(compile_status)s, %(compile_error)s, %(metadata)s, %(artifact)s
)
"""


def insert(url: str, *rows: SourceSession) -> None:
    """Store rows in a database of variant A; each artifact has the size that the row says."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.cursor().executemany(_INSERT, [_values(each) for each in rows])


def _values(row: SourceSession) -> dict[str, object]:
    artifact = None if row.artifact_bytes is None else b"x" * row.artifact_bytes
    return {name: getattr(row, name) for name in SourceSession.__slots__ if not name.startswith("_")} | {
        "artifact": artifact
    }


@asynccontextmanager
async def opened(url: str, shift: timedelta = timedelta(0), **address: str) -> AsyncIterator[OriginReader]:
    options = OriginDatabaseOptions(SourceAddress(url, **address))
    async with OriginDatabase.opened(options, STATEMENTS.connection) as database:
        yield PostgresOriginReader(database, STATEMENTS.rows, shift)


class TestPostgresOriginReader(OriginReaderContract):
    @pytest.fixture
    async def reader(self, origin_url: str) -> AsyncIterator[OriginReader]:
        async with opened(origin_url) as reader:
            yield reader

    @pytest.fixture
    def store(self, origin_url: str) -> Store:
        return lambda row: insert(origin_url, row)


@pytest.mark.parametrize("variant", ["a", "b", "c"])
async def test_every_row_of_a_variant_is_read(server_url, variant):
    with origin_database(server_url, variant) as url:
        fill(url, 25, 64, users=variant == "b")
        async with opened(url) as reader:
            for expired_after in (None, NOW - timedelta(days=365)):
                ids = await all_heads(reader, expired_after, 7)
                assert len(set(ids)) == 25
            rows = await reader.sessions(ids)
    assert {row.execution_count for row in rows} > {0, 3}
    assert {row.context for row in rows} > {"null", '"text"'}
    assert all(row.instants_fit and row.created_at is not None and row.created_at.tzinfo is UTC for row in rows)


async def test_columns_that_a_table_lacks_are_none_and_its_instants_are_those_of_the_named_zone(server_url):
    with origin_database(server_url, "d") as url:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(
                "INSERT INTO meta.sessions (request_id, language_title, created_at, expires_at, status, context) "
                "VALUES ('x', 'python-a', '2100-01-01 00:00', '2100-01-01 01:00:00.000001', 'active', '[]')"
            )
        async with opened(url, timezone="Asia/Tokyo") as reader:
            assert await all_heads(reader, NOW) == ["x"]
            (row,) = await reader.sessions(["x"])
    assert row.expires_at == datetime(2099, 12, 31, 16, 0, 0, 1, tzinfo=UTC)
    assert (row.execution_count, row.last_executed_at, row.metadata, row.artifact_bytes) == (None, None, None, None)


async def test_instants_that_no_session_can_have_are_none(odd_origin_url):
    async with opened(odd_origin_url) as reader:
        ids = await all_heads(reader, NOW, 3)
        assert len(set(ids)) == len(await all_heads(reader, None, 3)) == 20
        found = {row.request_id[-2:]: row for row in await reader.sessions(ids)}
    assert [found[end].instants_fit for end in ("13", "14", "15", "16")] == [False, False, False, True]
    assert found["13"].expires_at is None


async def test_an_artifact_of_any_size_is_not_read(origin_url):
    with psycopg.connect(origin_url, autocommit=True) as admin:
        admin.execute(
            "INSERT INTO meta.sessions (request_id, language_title, expires_at, context, compiled_artifact) "
            "SELECT 'x', 'python-a', '2100-01-01', '{}', decode(repeat('00', 50000000), 'hex')"
        )
    async with opened(origin_url) as reader:
        ((head,),) = [await reader.heads(None, None, 1)]
        assert head.size_bytes < 100
        assert (await reader.sessions(["x"]))[0].artifact_bytes == 50_000_000


@pytest.mark.parametrize("column", ["script_content", "context", "metadata", "compile_options", "compile_error"])
async def test_a_page_of_digests_counts_the_bytes_of_every_large_column(origin_url, column):
    text, is_json = token_hex(50_000), column in {"context", "metadata", "compile_options"}
    columns = {"request_id": "n::text", "language_title": "'python-a'", "expires_at": "'2100-01-01'", "context": "'{}'"}
    columns[column] = "to_jsonb(%s::text)" if is_json else "%s"
    with psycopg.connect(origin_url, autocommit=True) as admin:
        admin.execute(
            f"INSERT INTO meta.sessions ({', '.join(columns)}) SELECT {', '.join(columns.values())} "
            "FROM generate_series(1, 3) AS n",
            [text],
        )
    async with opened(origin_url) as reader:
        page = await reader.digests("", None, 10)
    assert [each.size_bytes for each in page] == [pytest.approx(100_000, rel=0.05)] * 3


async def test_live_rows_are_found_by_the_index_of_expiries(origin_url):
    fill(origin_url, 3000, 64)
    with psycopg.connect(origin_url, autocommit=True) as admin:
        admin.execute("UPDATE meta.sessions SET expires_at = expires_at - interval '1 year' WHERE execution_count > 0")
        admin.execute("ANALYZE meta.sessions")
        admin.execute("SET search_path = meta")
        given = {"after_at": str(NOW), "after_id": "", "expired_after": str(NOW), "rows_max": 100}
        plan = admin.execute("EXPLAIN " + STATEMENTS.rows.select_heads_by_expiry, given).fetchall()
    assert any("idx_sessions_expires_at" in line for (line,) in plan)
    assert not any("Seq Scan" in line for (line,) in plan)


async def test_the_number_of_rows_is_estimated_without_counting_them(origin_url):
    fill(origin_url, 3000, 64)
    with psycopg.connect(origin_url, autocommit=True) as admin:
        admin.execute("ANALYZE meta.sessions")
    async with opened(origin_url) as reader:
        assert 2900 <= await reader.estimate(None) <= 3100
        assert await reader.estimate(datetime(2200, 1, 1, tzinfo=UTC)) < 100
