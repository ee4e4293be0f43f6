"""Copying the origin and comparing both sides, on real databases."""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from random import Random
from uuid import UUID

import psycopg
import pytest
from attrs import evolve

from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.takeover import PostgresTakeoverStore
from adapters.postgres.repositories.verification import PostgresStoredReader
from adapters.postgres.statements.catalogue import Statements
from domain.takeover.reasons import Reason
from domain.takeover.receiving import received
from domain.takeover.verification import Verdict
from tests.contracts.origin_reader import session
from tests.contracts.storage import Storage
from tests.contracts.takeover_verification import FENCE, TakeoverVerificationContract, World, clock_at
from tests.integration.postgres.conftest import storage_on
from tests.integration.takeover.test_origin_reader import insert, opened
from tests.origin.databases import fill, origin_database, run
from tests.unit.takeover.builders import NOW

PLANTED = 60
_FLIPS = (
    "SET script_content = overlay(script_content PLACING '~' FROM %s FOR 1)",
    "SET context = jsonb_set(context, '{n}', to_jsonb((context ->> 'n')::bigint # 1)) FROM (SELECT %s) AS ignored",
    "SET expires_at = expires_at + interval '1 microsecond' FROM (SELECT %s) AS ignored",
    "SET created_at = created_at - interval '1 microsecond' FROM (SELECT %s) AS ignored",
)
_STORED_FLIPS = (
    "SET script = overlay(script PLACING '~' FROM %s FOR 1)",
    "SET context = regexp_replace(context, '\"n\": (\\d*)\\d', '\"n\": \\1x') FROM (SELECT %s) AS ignored",
    "SET last_executed_at = created_at + interval '1 microsecond' FROM (SELECT %s) AS ignored",
    "SET ttl_seconds = ttl_seconds # 1 FROM (SELECT %s) AS ignored",
    "SET timeout_ms = timeout_ms # 1 FROM (SELECT %s) AS ignored",
    "SET expires_max_at = expires_max_at + interval '1 microsecond' FROM (SELECT %s) AS ignored",
    'SET leftovers = \'{"absent": ["metadata"}\' FROM (SELECT %s) AS ignored',
    "SET owner = 'anonymout' FROM (SELECT %s) AS ignored",
    "SET title = title || 'x' FROM (SELECT %s) AS ignored",
)


def put(url: str, row) -> None:
    """Store or replace a row of the origin."""
    drop(url, row.request_id)
    insert(url, row)


def drop(url: str, request_id: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DELETE FROM meta.sessions WHERE request_id = %s", [request_id])


@pytest.fixture
def storage(gateway: Gateway, statements: Statements) -> Storage:
    return clock_at(storage_on(gateway, statements), NOW)


@pytest.fixture
async def world(origin_url: str, gateway: Gateway, statements: Statements, storage: Storage) -> AsyncIterator[World]:
    async with opened(origin_url, shift=FENCE.shift) as reader:
        yield world_of(gateway, statements, storage, reader, origin_url)


def world_of(gateway, statements, storage, reader, origin_url) -> World:
    return World(
        storage,
        PostgresTakeoverStore(gateway, statements.takeover),
        PostgresStoredReader(gateway, statements.verification, statements.takeover),
        reader,
        lambda row: put(origin_url, row),
        lambda request_id: drop(origin_url, request_id),
    )


class TestPostgresTakeoverVerification(TakeoverVerificationContract):
    @pytest.fixture
    def world(self, world: World) -> World:
        return world


@pytest.mark.parametrize("variant", ["a", "b", "c"])
async def test_every_row_of_a_variant_is_the_same_or_left_with_its_reason(server_url, gateway, statements, variant):
    with origin_database(server_url, variant) as url:
        fill(url, 500, 256, users=variant == "b")
        run(url, *(["oddities"] if variant == "a" else []))
        with psycopg.connect(url) as connection:
            (now, rows) = connection.execute("SELECT now(), (SELECT count(*) FROM meta.sessions)").fetchone()
        storage = clock_at(storage_on(gateway, statements), now)
        async with opened(url) as reader:
            world = world_of(gateway, statements, storage, reader, url)
            await world.begin()
            await world.copy()
            counts, left = await world.verdicts()
    assert sum(counts.values()) == rows
    assert counts.keys() == {Verdict.SAME, Verdict.LEFT}
    reasons = Counter(row.reason for row in left)
    assert reasons[Reason.LANGUAGE_NOT_SERVED] == 100 + (variant == "a")
    assert (len(reasons) > 5) is (variant == "a")


async def test_each_planted_difference_is_found_and_no_other(world, origin_url, database_url):
    fill(origin_url, 1500, 512)
    with psycopg.connect(origin_url, autocommit=True) as origin:
        world.storage.clock.advance(origin.execute("SELECT now()").fetchone()[0] - world.storage.clock.now())
        origin.execute(
            "DELETE FROM meta.sessions WHERE language_title LIKE 'rust%' OR jsonb_typeof(context) <> 'object'"
        )
        origin.execute("UPDATE meta.sessions SET expires_at = now() + interval '1 hour' WHERE expires_at < now()")
        ids = [row[0] for row in origin.execute("SELECT request_id FROM meta.sessions ORDER BY 1").fetchall()]
    await world.begin()
    await world.copy()
    assert await world.verdicts() == ({Verdict.SAME: len(ids)}, [])
    random = Random(16)
    chosen = random.sample(ids, 2 * PLANTED)
    with psycopg.connect(origin_url) as origin, psycopg.connect(database_url) as here:
        for number, request_id in enumerate(chosen[:PLANTED]):
            flip = _FLIPS[number % len(_FLIPS)]
            origin.execute(f"UPDATE meta.sessions {flip} WHERE request_id = %s", [random.randint(5, 500), request_id])
        for number, request_id in enumerate(chosen[PLANTED:]):
            flip = _STORED_FLIPS[number % len(_STORED_FLIPS)]
            given = [random.randint(5, 500), request_id]
            here.execute(f"UPDATE meta.inbound_sessions {flip} WHERE request_id = %s", given)
    counts, rows = await world.verdicts()
    assert {row.request_id for row in rows} == set(chosen)
    assert counts == {Verdict.SAME: len(ids) - 2 * PLANTED, Verdict.DIFFERS: 2 * PLANTED}


@pytest.mark.parametrize("script", [None, "return 1;"], ids=["without hashes", "with hashes"])
async def test_a_page_of_which_some_rows_are_stored_and_others_taken_is_completed(world, script):
    known = (
        {} if script is None else {"script_content": script, "script_hash": hashlib.sha256(script.encode()).hexdigest()}
    )
    rows = [session(number, user_id=f"user {number % 3}", **known) for number in range(8)]
    await world.begin()
    for row in rows[:4]:
        world.put(row)
    await world.copy()
    await world.adopt(rows[0])
    changed = [evolve(row, execution_count=9) for row in rows[:2]]
    for row in (*changed, *rows[4:]):
        world.put(row)
    await world.copy()
    stored = await world.store.inbound([UUID(row.request_id) for row in rows])
    expected = {row.request_id: received(row, world.policy, NOW).inbound for row in (changed[1], *rows[2:])}
    assert {str(each.session.ref.session_id): each for each in stored} == expected


async def test_a_page_of_which_one_row_is_stored_is_completed(world):
    rows = sorted((session(number) for number in range(40)), key=lambda row: row.request_id)
    await world.begin()
    world.put(rows[1])  # beside the sample
    await world.copy()
    for row in rows:
        world.put(row)
    await world.copy()
    assert await world.verdicts() == ({Verdict.SAME: 40}, [])


async def test_scripts_of_megabytes_are_copied_in_small_batches(world, origin_url):
    script = "x = 1\n" * 350_000
    with psycopg.connect(origin_url, autocommit=True) as origin:
        origin.execute(
            "INSERT INTO meta.sessions (request_id, language_title, created_at, expires_at, context, script_content)"
            " SELECT gen_random_uuid()::text, 'python-a', %s, %s, '{}', %s FROM generate_series(1, 12)",
            [NOW, NOW.replace(year=2030), script],
        )
    world = evolve(world, bytes_max=8 * 1024 * 1024)
    await world.begin()
    await world.copy()
    assert await world.verdicts() == ({Verdict.SAME: 12}, [])
