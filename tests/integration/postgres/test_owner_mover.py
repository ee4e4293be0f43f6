"""What belongs to an owner is handed over whole, in steps, beside those who use it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from attrs import evolve

from adapters.postgres.buckets.placements import PostgresBucketRegister
from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.audit import PostgresAuditReader
from adapters.postgres.repositories.egress_rules import PostgresOwnerRules
from adapters.postgres.repositories.environments import PostgresEnvironmentRepository
from adapters.postgres.repositories.functions import PostgresFunctionRepository
from adapters.postgres.repositories.owner_mover import OwnerMoverOptions, PostgresOwnerMover
from adapters.postgres.repositories.queue_statements import AcceptCall, AcceptExecutions
from adapters.postgres.statements.catalogue import Statements
from domain.access.owner_move import MoveStep, OwnedData
from domain.audit import ActName
from domain.egress.owner_rule import OwnerEgressRule
from domain.egress.rule import EgressRule
from domain.errors import StorageUnavailable
from domain.executions.execution import ExecutionNotFound
from domain.functions.function import Definition, Function
from domain.functions.ports import FunctionLookup
from domain.idempotency import IdempotencyKey
from domain.identity import ANONYMOUS, EVERY_OWNER, Owner, SessionRef, uuid7_at, uuid7_time
from domain.json_text import JsonText
from domain.schedules.schedule import EndReason
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.script import Script
from domain.sessions.session import Session, SessionNotFound
from tests.contracts.bucket_register import BucketRegisterContract
from tests.contracts.environments import version
from tests.contracts.execution_queue import KEY, LONG, RETENTION, QueueOfOne
from tests.contracts.file_repository import started_file, stored_file
from tests.contracts.hidden_session_repository import TITLE
from tests.contracts.schedule_repository import PERIOD, Planner
from tests.contracts.storage import ALICE, ALLOWANCE, BOB, SCRIPT, Storage
from tests.support.acts import OPERATOR, act, recorded
from tests.support.waiting import until

NIL = UUID(int=0)
WAITING = """
SELECT exists(
    SELECT FROM pg_stat_activity AS a WHERE a.datname = current_database() AND a.wait_event_type = 'Lock'
)
"""
Register = Callable[[Owner, LanguageTitle], Awaitable[Function]]
SMALL = OwnerMoverOptions(sessions_max=2, rows_max=3)


@pytest.fixture
def mover(gateway: Gateway, statements: Statements, storage: Storage) -> PostgresOwnerMover:
    return PostgresOwnerMover(gateway, statements, storage.clock, SMALL)


@pytest.fixture
def add_key(database_url: str, storage: Storage) -> Callable[..., None]:
    """Store a key of a call that has ended, or of one under way."""

    def add(owner: Owner, key: str, session_id: UUID = NIL) -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            now = storage.clock.now()
            connection.execute(
                "INSERT INTO meta.idempotency_keys (request_id, owner, key, payload_hash, winner, language_title,"
                " deadline_at, expires_at, answer) VALUES (%s, %s, %s, %s, %s, 'python-x', %s, %s, '{}')",
                [session_id, owner, key, b"x" * 32, storage.ids.new(now), now, now + timedelta(days=1)],
            )

    return add


class TestPostgresBucketRegister(BucketRegisterContract):
    @pytest.fixture
    def register(self, gateway: Gateway, statements: Statements) -> PostgresBucketRegister:
        return PostgresBucketRegister(gateway, statements.buckets)


async def test_the_oldest_thing_of_an_owner_is_a_session_or_a_schedule_or_a_counted_day(
    mover: PostgresOwnerMover, storage: Storage, database_url: str
) -> None:
    assert await mover.oldest(ALICE) is None
    session = await storage.add(ALICE, **LONG)
    assert await mover.oldest(ALICE) == uuid7_time(session.ref.session_id)
    await storage.add(BOB)
    await storage.add(ALICE)
    assert await mover.oldest(ALICE) == uuid7_time(session.ref.session_id)
    assert storage.schedules is not None
    schedule = Planner(storage, storage.schedules).new(session)
    old_id = uuid7_at(storage.clock.now() - timedelta(days=1), 7)
    await storage.schedules.add(evolve(schedule, schedule_id=old_id), 9, act())
    assert await mover.oldest(ALICE) == uuid7_time(old_id)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO meta.usage VALUES (%s, '2020-02-01', 1, 0, 0, 0, 0)", [ALICE])
    assert await mover.oldest(ALICE) == datetime(2020, 2, 1, tzinfo=UTC)


def rows(database_url: str, query: str) -> list[Any]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        return connection.execute(query).fetchall()


def numbers(sessions: int, keys: int, history: int, functions: int = 0) -> dict[OwnedData, int]:
    return dict.fromkeys(OwnedData, 0) | dict(zip(OwnedData, (sessions, keys, history, functions), strict=False))


async def walked(mover: PostgresOwnerMover, source: Owner = ANONYMOUS, target: Owner = ALICE) -> list[MoveStep]:
    return [step async for step in mover.move(source, target, act(ActName.OWNERS_MOVE))]


async def test_lists_of_the_new_owner_find_what_moved_by_its_metadata(mover, storage):
    metadata = JsonText('{"order": "4711"}')
    session = await storage.add(metadata=metadata)
    await walked(mover)
    assert await storage.listed(ANONYMOUS, metadata=metadata) == []
    assert await storage.listed(ALICE, metadata=metadata) == [
        evolve(session, ref=SessionRef(ALICE, session.ref.session_id))
    ]


async def test_sessions_move_with_their_history_and_keys(mover, storage, add_key, database_url):
    mine = [await storage.add() for _ in range(5)]
    others = await storage.add(BOB)
    for session in (*mine, others):
        for _ in range(3):
            await storage.execute(session.ref)
        add_key(session.ref.owner, "k", session.ref.session_id)
    add_key(ANONYMOUS, "i")
    assert await mover.count(ANONYMOUS) == numbers(5, 6, 15)
    steps = await walked(mover)
    assert max(step.examined for step in steps) <= 3
    moved = {part: sum(step.moved for step in steps if step.part is part) for part in OwnedData}
    assert moved == numbers(5, 1, 15)
    assert await mover.count(ANONYMOUS) == dict.fromkeys(OwnedData, 0)
    assert await mover.count(ALICE) == numbers(5, 6, 15)
    assert await mover.count(BOB) == numbers(1, 1, 3)
    for session in mine:
        ref = SessionRef(ALICE, session.ref.session_id)
        assert (await storage.sessions.get(ref)).execution_count == 3
        assert len((await storage.executions.page(ref, None, 10)).items) == 3
        assert await storage.execute(ref) == 4
        with pytest.raises(SessionNotFound):
            await storage.sessions.get(session.ref)


def hidden_of(storage: Storage, owner: Owner, version: int) -> Session:
    pinned = {"function_id": UUID(int=1), "function_version": version}
    return storage.new_session(owner, hidden=True, **pinned)


async def test_files_move_with_their_content_and_an_upload_goes_on(mover, storage):
    file = await stored_file(storage, ANONYMOUS, b"content")
    upload = await started_file(storage, ANONYMOUS)
    assert (await mover.count(ANONYMOUS))[OwnedData.FILES] == 2
    assert await mover.oldest(ANONYMOUS) == uuid7_time(file.file_id)
    steps = await walked(mover)
    assert sum(step.moved for step in steps if step.part is OwnedData.FILES) == 2
    assert await storage.files.find(ALICE, file.file_id) == evolve(file, owner=ALICE)
    assert await storage.files.chunk(file.file_id, 0, 0, 9) == b"content"
    now = storage.clock.now()
    await storage.files.add_chunk(upload.file_id, 0, b"x", now, now + timedelta(minutes=1))
    assert (await mover.count(ANONYMOUS))[OwnedData.FILES] == 0


async def test_a_hidden_session_moves_and_stays_hidden_unless_the_new_owner_has_one_of_its_version(mover, storage):
    opened = [await storage.hidden.open(hidden_of(storage, ANONYMOUS, version), SCRIPT) for version in (1, 2)]
    theirs = await storage.hidden.open(hidden_of(storage, ALICE, 2), SCRIPT)
    await storage.execute(opened[0])
    await walked(mover)
    moved = [SessionRef(ALICE, ref.session_id) for ref in opened]
    assert await storage.hidden.refs(ALICE, TITLE, UUID(int=1)) == [theirs, moved[0]]
    assert await storage.hidden.refs(ANONYMOUS, TITLE, UUID(int=1)) == []
    assert [session.ref for session in await storage.listed(ALICE)] == [moved[1]]
    assert await storage.hidden.open(hidden_of(storage, ALICE, 1), SCRIPT) == moved[0]
    assert await storage.execute(moved[0]) == 2


async def test_an_executing_session_moves_with_the_next_call(mover, storage, add_key):
    busy, idle = await storage.add(), await storage.add()
    await storage.execute(busy.ref)
    add_key(ANONYMOUS, "k", busy.ref.session_id)
    execution = await storage.begin(busy.ref)
    await walked(mover)
    assert await mover.count(ANONYMOUS) == numbers(1, 1, 1)
    assert await storage.executions.finish(storage.finished(execution)) == 2
    await walked(mover)
    assert await mover.count(ANONYMOUS) == dict.fromkeys(OwnedData, 0)
    assert (await storage.sessions.get(SessionRef(ALICE, busy.ref.session_id))).execution_count == 2
    assert (await storage.sessions.get(SessionRef(ALICE, idle.ref.session_id))).ref.owner == ALICE


async def test_an_overdue_execution_moves_with_its_session(mover, storage, database_url):
    session = await storage.add()
    execution = await storage.begin(session.ref)
    storage.clock.advance(execution.deadline_at - storage.clock.now())
    await walked(mover)
    assert rows(database_url, "SELECT owner FROM meta.open_executions") == [("alice",)]
    (row,) = (await storage.executions.page(SessionRef(ALICE, session.ref.session_id), None, 5)).items
    assert row.execution_id == execution.execution_id


async def test_the_history_of_a_removed_session_moves(mover, storage, database_url):
    session = await storage.add()
    await storage.execute(session.ref)
    rows(database_url, "DELETE FROM meta.sessions RETURNING 1")
    await walked(mover)
    assert await mover.count(ALICE) == numbers(0, 0, 1)


async def test_a_key_that_the_new_owner_has_stays(mover, add_key):
    for owner, key in ((ANONYMOUS, "a"), (ANONYMOUS, "b"), (ALICE, "b"), (ANONYMOUS, "c"), (ANONYMOUS, "d")):
        add_key(owner, key)
    await walked(mover)
    assert (await mover.count(ANONYMOUS))[OwnedData.KEYS] == 1
    assert (await mover.count(ALICE))[OwnedData.KEYS] == 4


async def test_a_stopped_move_is_continued(mover, storage):
    for _ in range(5):
        await storage.execute((await storage.add()).ref)
    async for _ in mover.move(ANONYMOUS, ALICE, act(ActName.OWNERS_MOVE)):
        break
    left = (await mover.count(ANONYMOUS))[OwnedData.SESSIONS]
    assert 0 < left < 5
    await walked(mover)
    assert await mover.count(ANONYMOUS) == dict.fromkeys(OwnedData, 0)
    assert await mover.count(ALICE) == numbers(5, 0, 5)


@pytest.fixture
def functions(gateway: Gateway, statements: Statements) -> PostgresFunctionRepository:
    return PostgresFunctionRepository(gateway, statements.functions)


@pytest.fixture
def register(functions: PostgresFunctionRepository, storage: Storage) -> Register:
    """Register the next version of a function."""

    async def register(owner: Owner, title: LanguageTitle) -> Function:
        now = storage.clock.now()

        def change(stored: Function | None) -> Function:
            made = Definition(Script.of(f"return {0 if stored is None else stored.version};", 100))
            new = Function(storage.ids.new(now), owner, title, made, now, now)
            return new if stored is None else stored.replace(made, owner, now)

        return await functions.update(owner, title, change, act())

    return register


async def test_functions_move_with_their_versions_and_their_pinned_sessions(mover, storage, functions, register):
    titles = [LanguageTitle(language, f"f{number}") for language in Language for number in range(3)]
    made = [[await register(ALICE, title), await register(ALICE, title)] for title in titles]
    await register(BOB, LanguageTitle(Language.PYTHON, "other"))
    first = made[0][0]
    session = await storage.add(ALICE, function_id=first.function_id, function_version=1)
    assert await mover.count(ALICE) == numbers(1, 0, 0, functions=6)
    assert await mover.collisions(ALICE, BOB) == []
    steps = await walked(mover, ALICE, BOB)
    assert sum(step.moved for step in steps if step.part is OwnedData.FUNCTIONS) == 6
    assert max(step.examined for step in steps) <= 3
    assert await mover.count(ALICE) == numbers(0, 0, 0)
    assert await mover.count(BOB) == numbers(1, 0, 0, functions=7)
    for older, newer in made:
        found = await functions.find(FunctionLookup.exact(BOB, newer.language_title))
        assert found == evolve(newer, owner=BOB)
        old = await functions.find(FunctionLookup.exact(BOB, newer.language_title, 1))
        assert old == evolve(older, owner=BOB)
    moved = await storage.sessions.get(SessionRef(BOB, session.ref.session_id))
    assert await functions.schema(moved.function_id, moved.function_version) == first.definition.schema


async def test_a_function_whose_title_the_new_owner_has_stays(mover, functions, register):
    titles = [LanguageTitle(Language.PYTHON, name) for name in ("b", "a", "c")]
    own = [await register(ALICE, title) for title in titles]
    for title in titles[:2]:
        await register(BOB, title)
    assert await mover.collisions(ALICE, BOB) == [titles[1], titles[0]]
    await walked(mover, ALICE, BOB)
    assert await mover.count(ALICE) == numbers(0, 0, 0, functions=2)
    assert await functions.find(FunctionLookup.exact(ALICE, titles[0])) == own[0]
    assert (await functions.find(FunctionLookup.exact(BOB, titles[2]))).function_id == own[2].function_id


async def test_functions_can_be_left_with_the_old_owner(mover, storage, register):
    await register(ALICE, LanguageTitle(Language.PYTHON, "a"))
    await storage.add(ALICE)
    assert [step.part async for step in mover.move(ALICE, BOB, act(ActName.OWNERS_MOVE), functions=False)] == [
        OwnedData.SESSIONS
    ]
    assert await mover.count(ALICE) == numbers(0, 0, 0, functions=1)


async def test_moving_an_owner_without_objects_does_nothing(mover):
    assert await walked(mover) == []


async def test_a_step_that_takes_too_long_is_repeated_with_fewer_rows(statements, storage):
    class Slow:
        def __init__(self) -> None:
            self.asked: list[int] = []

        async def fetch(self, _statement: Any, parameters: Any) -> list[tuple[Any, ...]]:
            if "rows_max" not in parameters:
                return []
            self.asked.append(parameters["rows_max"])
            if parameters["rows_max"] > 30:
                raise StorageUnavailable(stored="unknown")
            return [(*[None] * (len(parameters) - 4), 0, 0)]

    slow = Slow()
    mover = PostgresOwnerMover(slow, statements, storage.clock, OwnerMoverOptions(100, 10))
    assert await walked(mover) == []
    assert slow.asked[:4] == [10, 100, 50, 25], "environments come first"
    too_slow = PostgresOwnerMover(slow, statements, storage.clock, OwnerMoverOptions(1000, 10))
    slow.asked.clear()
    with pytest.raises(StorageUnavailable):
        await walked(too_slow)
    assert slow.asked == [10, 1000, 500, 250, 125, 63, 32]


async def test_a_move_of_many_steps_is_one_entry_with_its_numbers(mover, storage, add_key, gateway, statements):
    for session in [await storage.add() for _ in range(5)]:
        await storage.execute(session.ref)
        add_key(ANONYMOUS, "k", session.ref.session_id)
    add_key(ANONYMOUS, "i")
    await walked(mover)
    (entry,) = await recorded(PostgresAuditReader(gateway, statements.audit))
    assert (entry.act, entry.actor, entry.owner, entry.subject) == ("owners.move", OPERATOR, ANONYMOUS, ALICE)
    assert entry.details == {"sessions": 5, "idempotency_keys": 6, "executions": 5, "functions": 0}


async def test_a_move_that_is_stopped_has_the_numbers_of_its_steps(mover, storage, gateway, statements):
    for _ in range(5):
        await storage.add()
    async for _ in mover.move(ANONYMOUS, ALICE, act(ActName.OWNERS_MOVE)):
        break
    (entry,) = await recorded(PostgresAuditReader(gateway, statements.audit))
    assert entry.details == {"sessions": 2, "idempotency_keys": 0}


async def test_what_is_queued_moves_with_its_session_and_its_key(mover, storage):
    process, session = QueueOfOne(storage), await storage.add()
    entry = await process.accept(process.entry(session.ref, KEY))
    await walked(mover)
    ref = SessionRef(ALICE, session.ref.session_id)
    with pytest.raises(ExecutionNotFound):
        await process.queue.state(ANONYMOUS, entry.execution_id, storage.clock.now())
    assert [await process.queue.queued(owner, 5) for owner in (ANONYMOUS, ALICE)] == [0, 1]
    claimed = await process.claim_one()
    assert claimed.entry == evolve(entry, ref=ref)
    assert await process.finish(claimed) == 1
    repeated = await process.queue.accept(process.entry(ref, KEY), ALLOWANCE, RETENTION)
    assert repeated.execution_id == entry.execution_id


async def test_what_an_accept_stores_that_began_before_the_move_moves_too(mover, storage, database_url, statements):
    process, session = QueueOfOne(storage), await storage.add()
    for _ in range(4):
        await process.add(await storage.add(BOB))
    entry = process.entry(session.ref, KEY)
    call = AcceptExecutions(statements.queue)
    with psycopg.connect(database_url) as late:
        parameters = {"copy": 1, **call.parameters([AcceptCall(entry, ALLOWANCE, RETENTION)], "normal")}
        late.execute(statements.queue.accept_executions.sql, parameters)
        moving = asyncio.create_task(walked(mover))
        done, _ = await asyncio.wait([moving], timeout=0.1)
        assert not done, "it waits for what began before"
        late.commit()
        await moving
    ref = SessionRef(ALICE, session.ref.session_id)
    assert [await process.queue.queued(owner, 5) for owner in (ANONYMOUS, ALICE, BOB)] == [0, 1, 4]
    repeated = await process.queue.accept(process.entry(ref, KEY), ALLOWANCE, RETENTION)
    assert repeated.execution_id == entry.execution_id
    assert [each.entry.ref for each in await process.claim() if each.entry.ref.owner == ALICE] == [ref]


async def test_an_entry_that_a_claim_has_locked_follows_its_session(mover, storage, database_url, statements):
    process, session = QueueOfOne(storage), await storage.add()
    await process.add(session)
    rows(database_url, "UPDATE meta.sessions SET owner = 'alice' RETURNING 1")
    claim = process.wish()
    bounds = {"entries_max": 1, "owner_max": 1, "turns_max": 9, "rows_max": 9, "bytes_max": 1}
    turns = {
        "now": claim.now,
        "allowance": ALLOWANCE,
        "languages": list(Language),
        "after_language": "",
        "after_owner": "",
        "blocked": [],
    }
    async with (
        await psycopg.AsyncConnection.connect(database_url) as claimer,
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as watcher,
    ):
        claims = statements.queue_claims.claim_executions
        await claimer.execute(claims.sql, {"claim_id": claim.claim_id, **bounds, **turns})
        moving = asyncio.create_task(walked(mover))

        async def waits_or_ends() -> bool:
            return moving.done() or await (await watcher.execute(WAITING)).fetchone() == (True,)

        await until(waits_or_ends)
        await claimer.commit()
        await moving
    assert [await process.queue.queued(owner, 5) for owner in (ANONYMOUS, ALICE)] == [0, 1]
    assert (await process.claim_one()).entry.ref == SessionRef(ALICE, session.ref.session_id)


async def test_a_session_of_which_a_claim_takes_an_execution_moves_with_the_next_call(mover, storage, database_url):
    process, session = QueueOfOne(storage), await storage.add()
    entry = await process.add(session)
    async with await psycopg.AsyncConnection.connect(database_url) as claimer:
        await claimer.execute(
            "WITH taken AS (DELETE FROM meta.queued_executions RETURNING *)"
            " INSERT INTO meta.open_executions (request_id, execution_id, owner, slot, deadline_at, claim_id, language_title,"
            " ready_at, start_until, kept_until, params) SELECT t.request_id, t.execution_id, t.owner, t.slot, t.expires_at,"
            " t.execution_id, 'python-x', t.ready_at, t.expires_at, t.kept_until, t.params FROM taken AS t"
        )
        moving = asyncio.create_task(walked(mover))
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as watcher:

            async def waits() -> bool:
                return await (await watcher.execute(WAITING)).fetchone() == (True,)

            await until(waits)
        await claimer.commit()
        await moving
    assert (await storage.sessions.get(session.ref)).ref == session.ref
    assert (await process.queue.state(ANONYMOUS, entry.execution_id, storage.clock.now())).ref == session.ref


async def test_a_schedule_moves_unless_its_session_stays(mover, storage):
    planner = Planner(storage, storage.schedules)
    resting, busy = await storage.add(), await storage.add()
    await storage.begin(busy.ref)
    moved = [await planner.add(owner=ANONYMOUS), await planner.add(resting)]
    left = await planner.add(busy)
    await walked(mover)
    assert [(await planner.schedules.find(EVERY_OWNER, each.schedule_id)).owner for each in moved] == [ALICE, ALICE]
    assert (await planner.read(left)).owner == ANONYMOUS
    assert (await mover.count(ANONYMOUS))[OwnedData.SCHEDULES] == 1


async def test_a_schedule_gives_up_a_key_that_the_new_owner_has_used(mover, storage):
    planner = Planner(storage, storage.schedules)
    taken, free = IdempotencyKey("taken", "a" * 64), IdempotencyKey("free", "a" * 64)
    theirs, *ours = [planner.new(owner=owner) for owner in (ALICE, ANONYMOUS, ANONYMOUS)]
    for schedule, key in zip((theirs, *ours), (taken, taken, free), strict=True):
        assert await storage.schedules.add(schedule, 100, act(ActName.SCHEDULES_CREATE), key)
    await walked(mover)
    assert {(await planner.schedules.find(EVERY_OWNER, each.schedule_id)).owner for each in ours} == {ALICE}
    found = [await storage.schedules.created(ALICE, key) for key in (taken, free)]
    assert [each.schedule_id for each in found] == [theirs.schedule_id, ours[1].schedule_id]


async def test_a_schedule_whose_session_moves_before_it_does_not_end_meanwhile(mover, storage):
    planner = Planner(storage, storage.schedules)
    schedule = await planner.add(await storage.add())
    storage.clock.advance(PERIOD)
    async with aclosing(mover.move(ANONYMOUS, ALICE, act())) as steps:
        assert (await anext(steps)).part is OwnedData.SESSIONS
        assert not await planner.schedules.settle(schedule, planner.step(schedule), [], EndReason.SESSION_ENDED)
        assert await planner.read(schedule) == schedule
    await walked(mover)
    assert (await planner.schedules.find(ALICE, schedule.schedule_id)).next_at == schedule.next_at


async def test_egress_rules_move_and_those_of_the_new_owner_stay(mover, gateway, statements, storage):
    rules = PostgresOwnerRules(gateway, statements.egress_rules)
    texts = [f"a{number}.test:443" for number in range(7)]
    for owner, text in [*((ANONYMOUS, text) for text in texts), (ALICE, texts[0]), (ALICE, "b.test:443")]:
        await rules.allow(
            OwnerEgressRule(owner, EgressRule.parse(text), storage.clock.now()), act(ActName.EGRESS_ALLOW)
        )
    await walked(mover)
    assert [str(each) for each in await rules.of(ALICE)] == [*texts, "b.test:443"]
    assert list(await rules.of(ANONYMOUS)) == []
    audit = PostgresAuditReader(gateway, statements.audit)
    (entry,) = [each for each in await recorded(audit) if each.act == ActName.OWNERS_MOVE]
    assert entry.details["egress_rules"] == 7


async def test_the_new_owner_may_use_the_environments_of_the_former_one(mover, gateway, statements, storage):
    environments = PostgresEnvironmentRepository(gateway, statements.environments)
    lists = [(ANONYMOUS,), (ANONYMOUS, ALICE), (BOB,), None, *[(ANONYMOUS,)] * 4]
    for number, owners in enumerate(lists, 1):
        await environments.add(version(number, owners=owners), act(ActName.ENVIRONMENTS_CREATE))
    await storage.add(ANONYMOUS)
    first = await anext(mover.move(ANONYMOUS, ALICE, act(ActName.OWNERS_MOVE)))
    assert (first.part, first.moved) == (OwnedData.ENVIRONMENTS, 3), "before the first session moves"
    await walked(mover)
    found = {each.version.version: each.version.owners for each in await environments.versions()}
    assert [found[number] for number in (1, 2, 3, 4, 8)] == [both := (ANONYMOUS, ALICE), both, (BOB,), None, both]
    audit = PostgresAuditReader(gateway, statements.audit)
    entries = [each for each in await recorded(audit) if each.act == ActName.OWNERS_MOVE]
    assert [each.details["environments"] for each in entries] == [2, 3]
