"""Rows that pass by column are stored as the rule of the domain converts each of them."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import psycopg
import pytest
from attrs import evolve

from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.takeover import PostgresTakeoverStore
from adapters.postgres.statements.catalogue import Statements
from domain.concurrency.pace import Pace
from domain.identity import ANONYMOUS
from domain.takeover.copying import Copier, CopyStep
from domain.takeover.ordinary import PageLimits
from domain.takeover.owners import LabelOwner, ListedOwner
from domain.takeover.receiving import received
from domain.takeover.source_session import AcceptedSession, Expired, LeftSession, SourceSession
from tests.contracts.takeover_verification import clock_at, no_room
from tests.integration.postgres.conftest import storage_on
from tests.integration.takeover.test_origin_reader import insert, opened
from tests.origin.databases import fill, origin_database
from tests.unit.takeover.builders import HOUR, NOW, POLICY, ROW

ROWS = 3000
DAY, MOMENT = timedelta(days=1), timedelta(microseconds=1)
SCRIPT = "return 1; // é"
HASH = hashlib.sha256(SCRIPT.encode()).hexdigest()
HOSTILE = 'line\n"quoted" \\back\\ {a,b} NULL tab\t \x01 é 😀'
SHAPES = {
    "language_title": ["python-text", "rust-a", "php", "nodejs-", "nodejs-Ä b", "python-" + "x" * 120, HOSTILE],
    "user_id": ["alice", "", HOSTILE, "x" * 128],
    "created_at": [
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        NOW - HOUR + timedelta(seconds=0.5),
        NOW - HOUR + timedelta(seconds=1.5),
        NOW + HOUR,
        NOW + HOUR + MOMENT,
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ],
    "expires_at": [
        *(NOW + span for span in (MOMENT, timedelta(0), -MOMENT, -HOUR, MOMENT - DAY, -DAY, -DAY - MOMENT, 40 * DAY)),
        datetime(1400, 1, 1, tzinfo=UTC),
        datetime(2094, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ],
    "last_executed_at": [None, NOW, datetime(1960, 1, 1, tzinfo=UTC)],
    "execution_count": [-1, 0, 2**31 - 1],
    "status": ["inactive", "", "ACTIVE"],
    "context": [
        *(None, "{}", "[]", '"{"', "null", '{"a": 1.50, "é": "\\u0001\\ud83d\\ude00"}'),
        *(f'{{"a": "{"x" * size}"}}' for size in (991, 992)),
        f'{{"a": "{"é" * 496}"}}',
    ],
    "script_content": [None, "", HOSTILE, "x" * 1000, "x" * 1001, "é" * 500, "é" * 501],
    "script_hash": [HASH, HASH.upper(), "0" * 64, "", '"', HOSTILE],
    "compile_options": ["{}", '{"b": [1, 2.50], "a": "é"}', "[]"],
    "compile_status": ["pending", HOSTILE[:32]],
    "compile_error": ["", HOSTILE],
    "metadata": ["{}", '{"a": "é"}', "[1]", "null", f"{[*range(300)]}", f'{{"a": {[*range(300)]}}}'],
    "artifact_bytes": [0, 3],
}
POLICIES = [
    POLICY,
    evolve(POLICY, expired=Expired.NONE, owners=LabelOwner(ANONYMOUS), honours_status=True),
    evolve(POLICY, expired=Expired.ALL, owners=ListedOwner({"alice": ANONYMOUS}), lifetime_max=3000 * 365 * DAY),
]


def shaped(random: Random) -> Iterator[SourceSession]:
    """Yield rows that differ from an ordinary one in up to three columns."""
    for _ in range(ROWS):
        names = random.sample(sorted(SHAPES), random.choice([0, 1, 1, 1, 2, 3]))
        changes = {name: random.choice(SHAPES[name]) for name in names}
        row = evolve(ROW, **{"request_id": _id(random), "script_content": SCRIPT, **changes})
        yield row


def _id(random: Random) -> str:
    """Return an id that is mostly canonical."""
    text = str(UUID(int=random.getrandbits(128), version=4))
    text = text[:14] + random.choice("4444444444444157") + text[15:]
    odd = [
        text.upper(),
        f"{{{text}}}",
        text.replace("-", ""),
        f"{text}\n",
        f"{text[:-1]}g",
        f"{text[:-1]}\N{FULLWIDTH DIGIT ONE}",
        text[:-1],
    ]
    return random.choice(odd) if random.random() < 0.1 else text


@pytest.mark.parametrize("policy", POLICIES)
async def test_rows_of_every_shape_become_what_the_rule_says(origin_url, gateway, statements, policy):
    ends = [UUID(int=0), UUID(int=2**128 - 1)]
    insert(origin_url, *shaped(Random(48)), *(evolve(ROW, request_id=str(each)) for each in ends))
    await _require_same(origin_url, gateway, statements, policy, ordinary_min=ROWS // 4)


@pytest.mark.parametrize("variant", ["a", "b", "c", "d"])
async def test_rows_of_every_variant_become_what_the_rule_says(server_url, gateway, statements, variant):
    with origin_database(server_url, variant) as url:
        if variant != "d":
            fill(url, 500, 64, users=variant == "b")
        else:
            _fill_least(url)
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("UPDATE meta.sessions SET expires_at = %s WHERE expires_at < now()", [NOW - HOUR])
        await _require_same(url, gateway, statements, POLICY, ordinary_min=100)


def _fill_least(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "INSERT INTO meta.sessions (request_id, language_title, created_at, expires_at, status, context, "
            "script_content) SELECT gen_random_uuid()::text, 'python-a', %(now)s::timestamp - interval '1 hour', "
            "%(now)s::timestamp + n * interval '1 minute', 'active', '{}', 'x' FROM generate_series(-100, 200) AS n",
            {"now": NOW.replace(tzinfo=None)},
        )


async def _require_same(url: str, gateway: Gateway, statements: Statements, policy: object, ordinary_min: int) -> None:
    """Copy all rows, and compare each with what the rule makes of it."""
    clock = clock_at(storage_on(gateway, statements), NOW).clock
    store = PostgresTakeoverStore(gateway, statements.takeover)
    async with opened(url) as reader:
        pages = [await reader.page(None, PageLimits(), policy, NOW)]
        while page := await reader.page(pages[-1].cursor, PageLimits(), policy, NOW):
            pages.append(page)
        copier = Copier(reader, store, policy, clock, PageLimits(), no_room, Pace(None))
        steps = [step async for step in copier.run()]
        again = [step async for step in copier.run()]
        rows = await reader.sessions([each for page in pages for each in (*page.ordinary.ids, *page.odd)])
    expected = {row.request_id: received(row, policy, NOW) for row in rows}
    accepted = {name: each for name, each in expected.items() if isinstance(each, AcceptedSession)}
    stored = await store.inbound([each.inbound.session.ref.session_id for each in accepted.values()])
    assert {str(each.session.ref.session_id): each for each in stored} == {
        name: each.inbound for name, each in accepted.items()
    }
    assert _left(steps) == {name: each.reason for name, each in expected.items() if isinstance(each, LeftSession)}
    assert _flagged(steps) == {name: each.flags for name, each in accepted.items() if each.flags}
    assert sum(step.received.written for step in steps) == len(accepted)
    assert [sum(getattr(step.received, name) for step in again) for name in ("written", "unchanged")] == [
        0,
        len(accepted),
    ]
    assert sum(len(page.ordinary.ids) for page in pages) >= ordinary_min


def _left(steps: list[CopyStep]) -> dict[str, object]:
    return {each.request_id: each.reason for step in steps for each in step.left}


def _flagged(steps: list[CopyStep]) -> dict[str, object]:
    return {each.request_id: each.flags for step in steps for each in step.flagged}
