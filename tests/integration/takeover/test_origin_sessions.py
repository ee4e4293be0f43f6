"""Sessions of the origin are hidden, looked at and given back, on real tables of each variant."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from attrs import evolve
from psycopg.rows import dict_row

from adapters.origin.database import OriginDatabase, OriginDatabaseOptions
from adapters.origin.sessions import OriginConnections, PostgresOriginSessions
from adapters.origin.statements import load_origin_statements
from domain.takeover.fence import Fence
from domain.takeover.moving import InboundSession
from domain.takeover.receiving import received
from domain.takeover.source import SourceAddress, SourceRefused
from domain.takeover.source_session import AcceptedSession, SourceSession
from tests.origin.databases import fill, origin_database
from tests.unit.takeover.builders import POLICY

STATEMENTS = load_origin_statements()
FENCE = Fence.of(UUID("019ac000-0000-7000-8000-0000deadbe00"))
OTHERS = Fence.of(UUID("019ac000-0000-7000-8000-00000000cc00"))


def converted(row: SourceSession, now: datetime) -> InboundSession | None:
    found = received(row, POLICY, now)
    return found.inbound if isinstance(found, AcceptedSession) else None


@asynccontextmanager
async def opened(url: str, fence: Fence = FENCE, *, makes_users: bool = False) -> AsyncIterator[PostgresOriginSessions]:
    options = OriginDatabaseOptions(SourceAddress(url))
    connections = OriginConnections([OriginDatabase(options, STATEMENTS.connection) for _ in range(2)])
    yield PostgresOriginSessions(connections, STATEMENTS, fence, converted, makes_users)
    await connections.close()


@pytest.fixture(params=["a", "b", "c"])
def url(request: Any, server_url: str) -> Iterator[str]:
    """A database of each variant with 40 sessions, of which some are live."""
    with origin_database(server_url, request.param) as found:
        fill(found, 40, 64, users=request.param == "b")
        yield found


def rows_of(url: str) -> dict[str, dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as admin:
        found = admin.execute("SELECT s.*, s.expires_at > now() AS is_live FROM meta.sessions AS s").fetchall()
    return {row["request_id"]: row for row in found}


def live_of(url: str) -> list[UUID]:
    return sorted(UUID(request_id) for request_id, row in rows_of(url).items() if row["is_live"])


def change(url: str, statement: str, *given: Any) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(statement, given)


async def all_ids(page: Any) -> list[UUID]:
    found: list[UUID] = []
    while ids := await page(found[-1] if found else None, 3):
        found += ids
    return found


async def keepable(origin: PostgresOriginSessions, url: str) -> list[UUID]:
    return [each.session_id for each in await origin.look(live_of(url)) if each.inbound is not None]


async def test_a_fence_hides_live_sessions_and_changes_one_column_exactly(url):
    before = rows_of(url)
    async with opened(url) as origin:
        live = live_of(url)
        assert await all_ids(origin.live) == live
        fenced = await origin.fence([*live, UUID(int=1)])
        assert sorted(each.session_id for each in fenced) == live
        assert {(each.is_live, each.would_live) for each in fenced} == {(False, True)}
        assert await origin.fence(live) == []
        assert live_of(url) == await all_ids(origin.live) == []
        assert await all_ids(origin.fenced) == live
    after = rows_of(url)
    for request_id, row in after.items():
        is_fenced = UUID(request_id) in live
        was_at = before[request_id]["expires_at"]
        assert row["expires_at"] == (FENCE.hidden(was_at) if is_fenced else was_at)
        same = {"expires_at", "is_live"}
        assert {k: v for k, v in row.items() if k not in same} == {
            k: v for k, v in before[request_id].items() if k not in same
        }


async def test_what_is_seen_is_the_session_with_its_expiry_before_the_fence(url):
    async with opened(url) as origin:
        ids = await keepable(origin, url)
        before = {each.session_id: each.inbound for each in await origin.look(ids)}
        assert {each.session_id: each.inbound for each in await origin.fence(ids)} == before
        assert {each.session_id: each.inbound for each in await origin.look(ids)} == before
        assert await origin.look([UUID(int=1)]) == await origin.look([]) == []


async def test_taking_the_fence_away_leaves_every_column_as_it_was(url):
    before = rows_of(url)
    async with opened(url) as origin:
        fenced = await origin.fence(live_of(url))
        await origin.unfence(fenced)
        await origin.unfence(fenced)
    assert rows_of(url) == before


async def test_the_fence_of_another_takeover_is_told_and_stays(url):
    async with opened(url) as origin, opened(url, OTHERS) as others:
        ids = await keepable(origin, url)
        fenced = await others.fence(ids)
        assert await origin.fence(ids) == []
        seen = await origin.look(ids)
        assert not any(FENCE.is_own(each.stored_at, each.created_at, None) for each in seen)
        assert all(OTHERS.is_own(each.stored_at, each.created_at, each.inbound.session.expires_at) for each in fenced)


async def test_users_are_missing_only_where_sessions_refer_to_them(url):
    users = ["user 1", "nobody", "it's \\", ""]
    with psycopg.connect(url) as admin:
        ((refers,),) = admin.execute("SELECT to_regclass('meta.users') IS NOT NULL").fetchall()
    async with opened(url) as origin:
        assert sorted(await origin.missing_users(users)) == (["it's \\", "nobody"] if refers else [])


async def test_a_session_that_comes_and_returns_has_every_column_as_it_was(url):
    before = rows_of(url)
    async with opened(url) as origin:
        ids = await keepable(origin, url)
        taken = [each.inbound for each in await origin.fence(ids)]
        for _ in range(2):
            assert sorted(await origin.restore(taken)) == sorted(ids)
            assert rows_of(url) == before


async def test_counts_that_grew_return_exactly_whatever_a_trigger_adds(url):
    before = rows_of(url)
    async with opened(url) as origin:
        ids = await keepable(origin, url)
        taken = [each.inbound for each in await origin.fence(ids)]
        grown = [
            evolve(
                each,
                session=evolve(
                    each.session,
                    execution_count=each.session.execution_count + 5,
                    last_executed_at=each.session.expires_at - timedelta(seconds=1),
                ),
            )
            for each in taken
        ]
        for _ in range(2):
            await origin.restore(grown)
            after = rows_of(url)
            for session_id in map(str, ids):
                was = max(before[session_id]["execution_count"], 0)
                assert after[session_id]["execution_count"] == was + 5
                assert after[session_id]["last_executed_at"] == before[session_id]["expires_at"] - timedelta(seconds=1)
                changed = {k for k in after[session_id] if after[session_id][k] != before[session_id][k]}
                assert changed <= {"execution_count", "last_executed_at"}


async def test_a_status_that_a_read_wrote_to_a_hidden_row_returns_as_it_was(url):
    before = rows_of(url)
    async with opened(url) as origin:
        ids = await keepable(origin, url)
        taken = [each.inbound for each in await origin.fence(ids)]
        hidden = [str(each) for each in ids]
        change(url, "UPDATE meta.sessions SET status = 'expired' WHERE request_id = ANY(%s)", hidden)
        await origin.restore(taken)
    assert rows_of(url) == before


async def test_a_greater_count_at_the_origin_stays(url):
    async with opened(url) as origin:
        ids = (await keepable(origin, url))[:1]
        taken = [each.inbound for each in await origin.fence(ids)]
        with psycopg.connect(url, autocommit=True) as admin:
            (count,) = admin.execute(
                "UPDATE meta.sessions SET execution_count = 70 WHERE request_id = %s RETURNING execution_count",
                [str(ids[0])],
            ).fetchone()
        await origin.restore(taken)
    assert rows_of(url)[str(ids[0])]["execution_count"] == count


async def test_a_row_that_was_removed_is_written_whole(origin_url):
    fill(origin_url, 40, 64)
    before = rows_of(origin_url)
    async with opened(origin_url) as origin:
        ids = await keepable(origin, origin_url)
        taken = [each.inbound for each in await origin.fence(ids)]
        change(origin_url, "DELETE FROM meta.sessions WHERE request_id = ANY(%s)", [str(each) for each in ids])
        assert sorted(await origin.restore(taken)) == sorted(ids)
    after = rows_of(origin_url)
    without = {"compiled_artifact"}
    for each in map(str, ids):
        assert {k: v for k, v in after[each].items() if k not in without} == {
            k: v for k, v in before[each].items() if k not in without
        }


async def test_a_session_that_the_tables_refuse_is_left_out_and_the_others_are_written(server_url):
    with origin_database(server_url, "b") as url:
        fill(url, 40, 64, users=True)
        async with opened(url) as origin:
            ids = await keepable(origin, url)
            taken = [each.inbound for each in await origin.look(ids)]
            wrong = evolve(taken[0], original=evolve(taken[0].original, user_id="nobody"))
            change(url, "DELETE FROM meta.sessions WHERE request_id = ANY(%s)", [str(each) for each in ids])
            restored = await origin.restore([*taken[1:], wrong])
            assert set(ids) - set(restored) == {ids[0]}
        async with opened(url, makes_users=True) as origin:
            assert await origin.restore([wrong]) == [ids[0]]
        assert rows_of(url)[str(ids[0])]["user_id"] == "nobody"


async def test_a_row_that_is_locked_is_left_out_and_the_others_are_hidden_at_once(origin_url):
    fill(origin_url, 40, 64)
    live = live_of(origin_url)
    async with opened(origin_url) as origin:
        with psycopg.connect(origin_url) as other:
            other.execute("UPDATE meta.sessions SET status = 'active' WHERE request_id = %s", [str(live[0])])
            assert {each.session_id for each in await origin.fence(live)} == set(live[1:])
        assert [each.session_id for each in await origin.fence(live)] == live[:1]


async def test_a_missing_right_is_named(origin_url):
    fill(origin_url, 40, 64)
    live = live_of(origin_url)
    with psycopg.connect(origin_url, autocommit=True) as admin:
        admin.execute("CREATE ROLE reader LOGIN")
        try:
            admin.execute("GRANT USAGE ON SCHEMA meta TO reader")
            admin.execute("GRANT SELECT ON meta.sessions TO reader")
            url = psycopg.conninfo.make_conninfo(origin_url, options="-c role=reader")
            async with opened(url) as origin:
                assert await origin.look(live)
                with pytest.raises(SourceRefused, match="GRANT"):
                    await origin.fence(live)
            assert live_of(origin_url) == live
        finally:
            admin.execute("DROP OWNED BY reader")
            admin.execute("DROP ROLE reader")
