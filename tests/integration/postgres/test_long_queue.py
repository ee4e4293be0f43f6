"""A queue of 100,000 entries gives right answers: to claims, cancels, lists, counts, quotas and ends."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from attrs import evolve
from psycopg.conninfo import conninfo_to_dict

from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.codec import partition_of
from adapters.postgres.repositories.queue import PostgresExecutionQueue
from adapters.postgres.retention.backlog import BacklogBounds, BacklogReader
from domain.cleanup import QueueBacklog
from domain.errors import Overloaded, QuotaReached
from domain.identity import EVERY_OWNER, Owner, SessionRef, uuid7_at
from domain.queue.entry import Turn
from domain.queue.quota import QueueMaxima, QueueQuota
from domain.queue.state import CancelResult
from domain.scripts.language import Language
from domain.scripts.report import ExecutionStatus
from tests.contracts.execution_queue import QueueOfOne
from tests.unit.domain.builders import START

OWNERS, ENTRIES_EACH = 100, 1000
ENTRIES = OWNERS * ENTRIES_EACH
MOMENT = timedelta(microseconds=1)
FIRST_DUE_AT = START - timedelta(hours=1)
_PREFIX = {
    name: str(uuid7_at(at, 0))[:-12] for name, at in (("entry", FIRST_DUE_AT), ("session", START - timedelta(days=1)))
}
_FILL = """
INSERT INTO meta.sessions (
    request_id, owner, language, title, script_hash, timeout_ms, memory_mb, isolation, renewal, ttl_seconds,
    expires_at, expires_max_at, context, metadata, script
)
SELECT
    (%(session)s || lpad(to_hex(n), 12, '0'))::uuid, 'owner ' || lpad(n::text, 2, '0'), 'python', 'adder', repeat('0', 64),
    5000, 128, 'session', 'fixed', 86400, '2026-01-20', '2026-01-20', '{}', '{}', 'result = 1'
FROM generate_series(0, %(owners)s::bigint - 1) AS n;
INSERT INTO meta.queued_executions (
    execution_id, request_id, ready_at, not_before, expires_at, kept_until, slot, in_order, owner, language, title, params
)
SELECT
    (%(entry)s || lpad(to_hex(n), 12, '0'))::uuid, s.request_id, d.due_at, d.due_at, '2026-01-20', '2026-01-21', %(slot)s,
    FALSE, s.owner, s.language, s.title, '{}'
FROM generate_series(0, %(entries)s::bigint - 1) AS n
CROSS JOIN LATERAL (SELECT %(first)s::timestamptz + n * interval '1 us' AS due_at) AS d
INNER JOIN meta.sessions AS s
    ON s.request_id = (%(session)s || lpad(to_hex(n / (%(entries)s::bigint / %(owners)s::bigint)), 12, '0'))::uuid
ORDER BY n;
"""


def entry_id(number: int) -> UUID:
    """Return an entry by its place in the queue: an owner's entries are one behind the other."""
    return UUID(f"{_PREFIX['entry']}{number:012x}")


def owner(number: int) -> Owner:
    return Owner(f"owner {number:02}")


def session_of(number: int) -> SessionRef:
    return SessionRef(owner(number), UUID(f"{_PREFIX['session']}{number:012x}"))


@pytest.fixture(scope="module")
def filled(new_database, template) -> Iterator[str]:
    """The name of a database with the queue, to be cloned."""
    facts = {"owners": OWNERS, "entries": ENTRIES, "first": FIRST_DUE_AT, "slot": partition_of(entry_id(0))}
    with new_database(template) as url:
        with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
            connection.execute(_FILL, facts | _PREFIX)
            connection.execute("VACUUM (ANALYZE) meta.queued_executions")
        yield conninfo_to_dict(url)["dbname"]


@pytest.fixture
def database_url(new_database, filled) -> Iterator[str]:
    with new_database(filled) as url:
        yield url


@pytest.fixture
def process(gateway, statements, storage) -> QueueOfOne:
    return QueueOfOne(
        evolve(storage, queue=PostgresExecutionQueue(gateway, statements, storage.executions, BatchKeys()))
    )


async def test_owners_are_claimed_from_in_turns_each_in_its_order(process):
    owners = [owner(number) for number in range(OWNERS)]
    for turn in range(2):
        claimed = await process.claim(OWNERS)
        assert sorted(each.entry.ref.owner for each in claimed) == owners
        firsts = {entry_id(number * ENTRIES_EACH + turn) for number in range(OWNERS)}
        assert {each.entry.execution_id for each in claimed} == firsts
    behind = await process.claim(10, after=Turn(Language.PYTHON, owner(94)))
    assert Counter(each.entry.ref.owner for each in behind) == Counter([*owners[95:], *owners[:5]])


async def test_an_entry_in_the_middle_is_cancelled_and_no_other_one(process):
    middle = ENTRIES // 2 + 7
    assert await process.cancel(entry_id(middle)) is CancelResult.CANCELLED
    assert await process.cancel(entry_id(middle)) is CancelResult.ENDED
    found = [await process.status(entry_id(middle + number)) for number in (-1, 0, 1)]
    assert found == [ExecutionStatus.QUEUED, ExecutionStatus.CANCELLED, ExecutionStatus.QUEUED]
    assert await process.queue.queued(EVERY_OWNER, 2 * ENTRIES) == ENTRIES - 1


async def test_a_list_shows_each_entry_of_an_owner_once_newest_first(process):
    found, after = [], None
    for _ in range(ENTRIES_EACH):
        page = await process.queue.page(owner(41), after, 100, process.storage.clock.now())
        found += [each.execution_id for each in page.items]
        after = page.next_after
        if after is None:
            break
    assert found == [entry_id(41 * ENTRIES_EACH + number) for number in reversed(range(ENTRIES_EACH))]


async def test_counts_are_exact_up_to_their_bound(gateway, statements, process):
    now = process.storage.clock.now()
    counted = [await process.queue.queued(*asked) for asked in ((owner(3), ENTRIES), (EVERY_OWNER, 10), (owner(3), 10))]
    assert counted == [ENTRIES_EACH, 10, 10]
    ours, every = [
        {each.language: each for each in await process.queue.facts(whose, now, 2 * ENTRIES)}
        for whose in (owner(3), EVERY_OWNER)
    ]
    first_of_ours = FIRST_DUE_AT + 3 * ENTRIES_EACH * MOMENT
    assert (ours[Language.PYTHON].queued, ours[Language.PYTHON].due_at) == (ENTRIES_EACH, first_of_ours)
    assert (every[Language.PYTHON].queued, every[Language.PYTHON].due_at) == (ENTRIES, FIRST_DUE_AT)
    read = await BacklogReader(gateway, statements.cleanup, process.storage.clock, BacklogBounds()).read()
    assert read == {Language.PYTHON: QueueBacklog(ENTRIES, FIRST_DUE_AT), Language.NODEJS: QueueBacklog(0, None)}


async def test_a_full_queue_refuses_an_entry_and_takes_one_once_there_is_room(process):
    async def take(maxima: QueueMaxima) -> None:
        await QueueQuota(process.queue, process.storage.clock.monotonic_ns, maxima).take(owner(3), 2)

    with pytest.raises(QuotaReached) as reached:
        await take(QueueMaxima(ENTRIES_EACH, 2 * ENTRIES))
    assert (reached.value.observed, reached.value.allowed) == (ENTRIES_EACH, ENTRIES_EACH)
    with pytest.raises(Overloaded):
        await take(QueueMaxima(2 * ENTRIES_EACH, ENTRIES))
    await process.cancel(entry_id(3 * ENTRIES_EACH))
    await take(QueueMaxima(ENTRIES_EACH, ENTRIES))


async def test_the_entries_of_a_closed_session_end_in_bounded_parts(process):
    storage, ref = process.storage, session_of(70)
    await storage.close(await storage.sessions.get(ref))
    now, ended = storage.clock.now(), []
    while (parts := await process.queue.end_entries(now, ref)) > 0:
        ended.append(parts)
    assert ended == [ENTRIES_EACH // 2] * 2
    assert await process.queue.queued(ref.owner, ENTRIES) == 0
    assert await process.queue.queued(EVERY_OWNER, 2 * ENTRIES) == ENTRIES - ENTRIES_EACH
    ends = [await process.status(entry_id(70 * ENTRIES_EACH + number)) for number in (0, 499, 500, 999)]
    assert ends == [ExecutionStatus.CANCELLED] * 4
