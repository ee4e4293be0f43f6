"""The content of an owner is erased whole, in steps, and that of others stays."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
from attrs import evolve

from adapters.postgres import codec
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.audit import PostgresAuditReader
from adapters.postgres.repositories.functions import PostgresFunctionRepository
from adapters.postgres.repositories.owner_mover import OwnerMoverOptions, PostgresOwnerMover
from adapters.postgres.repositories.purges import PostgresOwnerPurger, PostgresSessionPurger
from adapters.postgres.repositories.queue_statements import AcceptCall, AcceptExecutions
from adapters.postgres.statements.catalogue import Statements
from domain.access.owner_move import MoveStep, OwnedData
from domain.audit import ActName
from domain.executions.execution import Executed, ExecutionLost, ExecutionNotFound
from domain.files.file import FileNotFound
from domain.functions.function import Definition, Function
from domain.idempotency import KEPT_FOR
from domain.identity import Owner
from domain.json_text import JsonText
from domain.scripts.language import LanguageTitle
from domain.scripts.script import Script
from domain.sessions.session import Status
from tests.contracts.execution_queue import RETENTION, QueueOfOne
from tests.contracts.file_repository import started_file, stored_file
from tests.contracts.keyed_call_repository import KEY
from tests.contracts.schedule_repository import Planner
from tests.contracts.storage import ALICE, ALLOWANCE, BOB, Storage
from tests.integration.postgres.gateways import SteeredGateway
from tests.support.acts import OPERATOR, act, recorded

NOTHING = dict.fromkeys(OwnedData, 0)
EGRESS_RULES = """
INSERT INTO meta.egress_rules
SELECT o.owner, format('a%s.test:443', n), now()
FROM generate_series(1, 4) AS n, unnest(ARRAY['alice', 'bob']) AS o (owner)
"""
ENVIRONMENTS = """
INSERT INTO meta.environments
SELECT 'data', n, 'python', '', '{}', ARRAY['alice', 'bob'], '', now(), 'root', NULL
FROM generate_series(1, 4) AS n
"""
SECRET = "content-of-alice"
_CONTENT = """
SELECT string_agg(t::text, '') FROM (
    SELECT s::text FROM meta.sessions AS s UNION ALL SELECT e::text FROM meta.executions AS e
    UNION ALL SELECT k::text FROM meta.idempotency_keys AS k UNION ALL SELECT v::text FROM meta.function_versions AS v
    UNION ALL SELECT o::text FROM meta.open_executions AS o UNION ALL SELECT a::text FROM meta.audit AS a
    UNION ALL SELECT q::text FROM meta.queued_executions AS q UNION ALL SELECT c::text FROM meta.schedules AS c
    UNION ALL SELECT encode(h.content, 'escape') FROM meta.file_chunks AS h
    UNION ALL SELECT l::text FROM meta.live_output AS l UNION ALL SELECT u::text FROM meta.execution_uses AS u
) AS t
"""


@pytest.fixture
def purger(gateway: Gateway, statements: Statements, storage: Storage) -> PostgresOwnerPurger:
    mover = PostgresOwnerMover(gateway, statements, storage.clock)
    return PostgresOwnerPurger(gateway, statements.purges, storage.clock, mover, OwnerMoverOptions(2, 3))


@pytest.fixture
def audit(gateway: Gateway, statements: Statements) -> PostgresAuditReader:
    return PostgresAuditReader(gateway, statements.audit)


@pytest.fixture
def functions(gateway: Gateway, statements: Statements) -> PostgresFunctionRepository:
    return PostgresFunctionRepository(gateway, statements.functions)


async def drained(steps: AsyncIterator[MoveStep]) -> None:
    async for _ in steps:
        pass


def content_of(database_url: str) -> str:
    """Return every row that may have content."""
    with psycopg.connect(database_url) as connection:
        return str(connection.execute(_CONTENT).fetchone())


async def filled(storage: Storage, owner: Owner, sessions: int = 5) -> None:
    for number in range(sessions):
        session = await storage.add(owner, context=JsonText(f'{{"secret": "{SECRET}"}}'))
        await storage.execute(session.ref)
        keyed = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        assert not isinstance(keyed, Executed)
        finished = evolve(storage.finished(keyed), uses=JsonText(f'{{"used": "{SECRET}"}}'))
        await storage.keyed_executions.finish(finished, KEY)
        if number == 0:
            await storage.begin(session.ref)


async def function_of(functions: PostgresFunctionRepository, storage: Storage, owner: Owner) -> Function:
    now, title = storage.clock.now(), LanguageTitle.of("python-x")
    made = Definition(Script.of(f"result = '{SECRET}'", 1000))
    function = Function(storage.ids.new(now), owner, title, made, now, now, author=owner)
    return await functions.update(owner, title, lambda _: function, act())


async def test_nothing_of_the_content_is_left_and_that_of_others_stays(purger, storage, functions, audit, database_url):
    await filled(storage, ALICE)
    await filled(storage, BOB, 1)
    await function_of(functions, storage, ALICE)
    planner = Planner(storage, storage.schedules)
    scheduled, _ = [await planner.add(owner=owner, params=JsonText(f'"{SECRET}"')) for owner in (ALICE, BOB)]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(EGRESS_RULES)
        connection.execute(ENVIRONMENTS)
    file, _, upload = [
        await stored_file(storage, ALICE, SECRET.encode()),
        await stored_file(storage, BOB, SECRET.encode()),
        await started_file(storage, ALICE),
    ]
    kept = await purger.count(BOB)
    assert await purger.count(ALICE) == dict(zip(OwnedData, (5, 5, 10, 1, 0, 1, 2, 4, 0, 4), strict=True))
    assert content_of(database_url).count(SECRET) == 17
    steps = [step async for step in purger.purge(ALICE, act(ActName.OWNERS_PURGE))]
    assert max(step.examined for step in steps) <= 3
    assert await purger.count(ALICE) == NOTHING
    assert await purger.count(BOB) == kept
    assert content_of(database_url).count(SECRET) == 4
    now = storage.clock.now()
    with pytest.raises(FileNotFound):
        await storage.files.find(ALICE, file.file_id)
    with pytest.raises(FileNotFound):
        await storage.files.add_chunk(upload.file_id, 0, SECRET.encode(), now, now)
    assert await planner.history(scheduled) == []
    entry, *_ = await recorded(audit)
    assert (entry.act, entry.actor, entry.owner, entry.subject) == ("owners.purge", OPERATOR, ALICE, ALICE)
    assert entry.details == {
        "schedules": 1,
        "sessions": 5,
        "idempotency_keys": 5,
        "executions": 10,
        "functions": 1,
        "files": 2,
        "egress_rules": 4,
        "environments": 4,
    }


async def test_a_schedule_that_is_stored_during_the_purge_of_its_session_is_erased(
    gateway, statements, storage, functions, database_url
):
    steered = SteeredGateway(gateway)
    mover = PostgresOwnerMover(steered, statements, storage.clock)
    purger = PostgresOwnerPurger(steered, statements.purges, storage.clock, mover, OwnerMoverOptions(2, 3))
    session = await storage.add(ALICE)

    async def schedule_meanwhile(run):
        await Planner(storage, storage.schedules).add(session, params=JsonText(f'"{SECRET}"'))
        return await run()

    steered.steps["purge_sessions"] = [schedule_meanwhile]
    async for _ in purger.purge(ALICE, act(ActName.OWNERS_PURGE)):
        pass
    assert SECRET not in content_of(database_url)


_FILL = """
UPDATE meta.executions SET stdout = (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1000) AS n)
"""
"""Lets each row of the history have 32,000 bytes that cannot be compressed."""


async def test_a_step_erases_so_many_bytes_of_the_history(gateway, statements, storage):
    session = await storage.add(ALICE)
    for _ in range(6):
        await storage.execute(session.ref)
    await gateway.fetch(Statement("fill", _FILL), {})
    mover = PostgresOwnerMover(gateway, statements, storage.clock)
    options = OwnerMoverOptions(bytes_max=40_000)
    purger = PostgresOwnerPurger(gateway, statements.purges, storage.clock, mover, options)
    steps = [each async for each in purger.purge(ALICE, act(ActName.OWNERS_PURGE)) if each.part is OwnedData.HISTORY]
    assert [(step.examined, step.moved) for step in steps] == [(2, 2)] * 3


async def test_sessions_are_closed_as_by_their_owner(purger, storage):
    session = await storage.add(ALICE)
    expected = session.close(storage.clock.now())
    async for _ in purger.purge(ALICE, act(ActName.OWNERS_PURGE)):
        pass
    found = await storage.sessions.get(session.ref)
    assert found == expected
    assert found.status(storage.clock.now()) is Status.CLOSED
    assert await storage.sessions.script(session.ref) is None


async def test_no_file_is_hidden_or_erased_without_an_owner_or_a_session(gateway, statements, storage):
    await stored_file(storage, ALICE, SECRET.encode())
    some, nobody = {"owner": ALICE, "request_id": None}, {"owner": None, "request_id": None}
    step = {"after": None, "rows_max": 10, "chunks_max": 10, **codec.act_columns(act(ActName.OWNERS_PURGE))}

    async def counted(statement: Statement, of: dict[str, Owner | None]) -> int:
        ((*_, examined, _),) = await gateway.fetch(statement, {**step, **of})
        return examined

    purges = statements.purges
    steps = [(purges.hide_files, nobody), (purges.hide_files, some), (purges.purge_files, nobody)]
    assert [await counted(*each) for each in steps] == [0, 1, 0]
    assert await counted(purges.purge_files, some) == 2


async def test_a_purge_that_is_stopped_can_be_repeated(purger, storage, audit):
    await filled(storage, ALICE)
    async for _ in purger.purge(ALICE, act(ActName.OWNERS_PURGE)):
        break
    assert (await purger.count(ALICE))[OwnedData.SESSIONS] == 3
    async for _ in purger.purge(ALICE, act(ActName.OWNERS_PURGE)):
        pass
    assert await purger.count(ALICE) == NOTHING
    again, first = await recorded(audit)
    assert first.details == {"sessions": 2}
    assert again.details == {"sessions": 3, "idempotency_keys": 5, "executions": 10, "functions": 0}


async def test_a_function_stays_while_a_session_of_another_owner_uses_it(purger, storage, functions):
    function = await function_of(functions, storage, ALICE)
    pin = {"function_version": 1, "function_id": function.function_id}
    session = await storage.add(BOB, **pin)
    async for _ in purger.purge(ALICE, act(ActName.OWNERS_PURGE)):
        pass
    assert await purger.count(ALICE) == NOTHING | {OwnedData.FUNCTIONS: 1}
    await storage.close(session)
    async for _ in purger.purge(ALICE, act(ActName.OWNERS_PURGE)):
        pass
    assert await purger.count(ALICE) == NOTHING


async def test_nothing_is_left_of_what_was_queued_and_of_what_ran(purger, storage, database_url):
    process = QueueOfOne(storage)
    sessions = [await storage.add(owner) for owner in (ALICE, ALICE, BOB)]
    params = JsonText(f'"{SECRET}"')
    for session in sessions:
        for _ in range(4):
            await process.accept(evolve(process.entry(session.ref), params=params))
    running, *_ = await process.claim(1, blocked=[BOB])
    async for _ in purger.purge(ALICE, act(ActName.OWNERS_PURGE)):
        pass
    assert content_of(database_url).count(SECRET) == 4
    with pytest.raises(ExecutionLost):
        await process.finish(running)
    assert {each.entry.ref.owner for each in await process.claim(20)} == {BOB}
    assert await process.queue.queued(ALICE, 10) == 0


async def test_what_is_left_of_a_session_that_was_removed_is_purged_and_recorded(purger, storage, audit, database_url):
    process, session = QueueOfOne(storage), await storage.add(ALICE)
    for _ in range(4):
        await process.add(session)
    await process.claim(1)
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM meta.sessions")
    async for _ in purger.purge(ALICE, act(ActName.OWNERS_PURGE)):
        pass
    assert await process.queue.queued(ALICE, 10) == 0
    entry, *_ = await recorded(audit)
    assert (entry.details["queued_executions"], entry.details["open_executions"]) == (3, 1)


async def test_what_an_accept_stores_that_began_before_a_purge_is_erased_too(
    database_url: str, gateway: Gateway, statements: Statements, storage: Storage, purger: PostgresOwnerPurger
) -> None:
    process = QueueOfOne(storage)
    of_session = PostgresSessionPurger(gateway, statements.purges, storage.clock, KEPT_FOR)
    for whole in (False, True):
        session = await storage.add(ALICE)
        with psycopg.connect(database_url) as late:
            late.execute("SET idle_in_transaction_session_timeout = '10s'")
            entry = process.entry(session.ref)
            call = AcceptExecutions(statements.queue)
            late.execute(
                statements.queue.accept_executions.sql,
                {"copy": 1, **call.parameters([AcceptCall(entry, ALLOWANCE, RETENTION)], "normal")},
            )
            await storage.close(session)
            purging = asyncio.create_task(
                drained(purger.purge(ALICE, act(ActName.OWNERS_PURGE)))
                if whole
                else of_session.purge(session.ref, act(ActName.SESSIONS_PURGE))
            )
            done, _ = await asyncio.wait([purging], timeout=0.1)
            assert not done, "it waits for what began before"
            late.commit()
            await purging
        assert await process.queue.queued(ALICE, 1) == 0
        with pytest.raises(ExecutionNotFound):
            await process.queue.state(ALICE, entry.execution_id, storage.clock.now())
    assert '{"ä": ' not in content_of(database_url)
