"""Calls go to the buckets that have their rows, also while buckets are added or away."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from attrs import evolve

from adapters.buckets.directory import Directory, Storage, of_those_that_serve
from adapters.buckets.files import BucketFiles
from adapters.buckets.sessions import BucketSessions
from domain.buckets.bucket_map import ANNOUNCED, FRESH, HOME, SETTLING, Bucket, BucketsChange, in_bucket
from domain.concurrency.budget import Budget
from domain.errors import Overloaded, ShuttingDown, StorageUnavailable
from domain.executions.execution import Executed
from domain.executions.function_sessions import FunctionSessions
from domain.files.ports import COUNTED_MIN, FileStart
from domain.functions.function import Definition, Function
from domain.idempotency import KEPT_FOR, IdempotencyConflict, IdempotencyKey
from domain.identity import ANONYMOUS, Owner, SessionRef
from domain.limits.ports import Unlimited
from domain.scripts.language import LanguageMapping
from domain.scripts.limits import LimitsPolicy
from domain.sessions.ports import SessionFilter
from domain.sessions.requests import SessionPolicy
from domain.sessions.session import LifetimePolicy, Session, SessionNotFound
from tests.contracts.hidden_session_repository import FUNCTION, TITLE
from tests.contracts.keyed_call_repository import made_of
from tests.contracts.storage import ALICE, SCRIPT
from tests.support.acts import act
from tests.support.waiting import until
from tests.unit.buckets.world import PAUSE, Announced, World
from tests.unit.domain.builders import LIMITS

KEYS = [IdempotencyKey(f"key {n}", "0" * 64) for n in range(40)]
AFTER_THE_PAUSE = PAUSE + SETTLING
LONG = {"ttl_seconds": 10**6, "lifetime_seconds_max": 10**6}


@pytest.fixture
async def world() -> World:
    return await World().opened()


async def test_sessions_of_all_owners_lie_in_all_buckets_and_their_executions_beside_them(world):
    storage = world.storage()
    for owner in (ANONYMOUS, ALICE):
        for _ in range(8):
            await storage.execute((await storage.add(owner)).ref)
    for number in (1, 2, 3):
        store = world.stores[number]
        assert store.sessions
        assert {each.ref.session_id for each in store.history.values()} == set(store.sessions)
        assert {each.int & 0xFF for each in (*store.sessions, *store.history)} == {number}
    assert not world.stores[HOME].sessions


async def test_what_was_stored_before_the_database_was_distributed_stays_and_serves():
    world = await World(Announced()).opened()
    storage = world.storage()
    old = await storage.add(**LONG)
    await world.raised(1, 2)
    new = await storage.add(**LONG)
    assert await storage.execute(old.ref) == await storage.execute(new.ref) == 1
    assert old.ref.session_id in world.stores[HOME].sessions
    assert new.ref.session_id not in world.stores[HOME].sessions
    assert [each.ref for each in await storage.listed()] == [new.ref, old.ref]
    assert len(world.stores[HOME].history) == 1


async def test_no_call_is_served_before_the_buckets_are_known():
    world = World()
    with pytest.raises(StorageUnavailable):
        world.ids.new_placed(world.clock.now(), ALICE)
    with pytest.raises(StorageUnavailable):
        await BucketSessions(world.directory).get(SessionRef(ALICE, FUNCTION))


async def test_an_id_that_an_unknown_bucket_may_have_is_not_said_to_be_unknown(world):
    sessions, started = BucketSessions(world.directory), world.clock.now()
    now = world.later(FRESH + timedelta(seconds=1))
    foreign = SessionRef(ALICE, in_bucket(world.ids.new(now), 7))
    before = SessionRef(ALICE, in_bucket(world.ids.new(started), 7))
    with pytest.raises(StorageUnavailable):
        await sessions.get(foreign)
    with pytest.raises(SessionNotFound):
        await sessions.get(before)
    with pytest.raises(StorageUnavailable):
        world.ids.new_placed(now, ALICE, "a key")
    world.ids.new_placed(now, ALICE)
    await world.directory.refresh()
    with pytest.raises(SessionNotFound):
        await sessions.get(foreign)
    assert FRESH < ANNOUNCED


async def test_ids_of_buckets_that_are_known_and_of_home_are_served_though_the_buckets_were_not_read_for_long(world):
    sessions, now = BucketSessions(world.directory), world.later(FRESH + timedelta(seconds=1))
    for number in world.directory.buckets.all_numbers:
        with pytest.raises(SessionNotFound):
            await sessions.get(SessionRef(ALICE, in_bucket(world.ids.new(now), number)))


async def test_the_storages_of_buckets_are_opened_when_they_are_found_and_closed_with_the_process():
    world, log = World(), []

    def make(number: int) -> Storage:
        async def opened() -> None:
            log.append(("opened", number))

        async def closed() -> None:
            log.append(("closed", number))

        return evolve(world.directory.home, number=number, open=opened, close=closed)

    home = make(HOME)
    directory = Directory(home, world.now_known, PAUSE, world.announced, make)
    running = asyncio.create_task(directory.run())
    await until(lambda: len(log) == 3)
    running.cancel()
    assert log == [("opened", 1), ("opened", 2), ("opened", 3)]
    await directory.close()
    assert log[3:] == [("closed", 1), ("closed", 2), ("closed", 3)], "that of HOME is closed with the process"


async def test_work_in_the_background_fails_if_no_bucket_serves_or_one_shows_a_bug(world):
    async def call(storage: Storage) -> int:
        failure = failures.get(storage.number)
        if failure is not None:
            raise failure
        return storage.number

    failures: dict[int, Exception] = {1: StorageUnavailable(), 2: Overloaded("the database")}
    assert await of_those_that_serve(world.directory.all, call) == [HOME, 3]
    failures[3] = KeyError()
    with pytest.raises(KeyError):
        await of_those_that_serve(world.directory.all, call)
    failures = dict.fromkeys(world.directory.buckets.all_numbers, StorageUnavailable())
    with pytest.raises(StorageUnavailable):
        await of_those_that_serve(world.directory.all, call)


async def test_while_the_buckets_cannot_be_read_the_last_ones_count(world):
    world.announced.failure = StorageUnavailable()
    session = await world.storage().add()
    with pytest.raises(StorageUnavailable):
        await world.directory.refresh()
    assert await world.storage().sessions.get(session.ref) == session


async def test_new_sessions_avoid_buckets_that_are_away(world):
    world.away = {1, 3}
    numbers = {world.ids.new_placed(world.clock.now(), ALICE).int & 0xFF for _ in range(12)}
    assert numbers == {2}
    world.away = {1, 2, 3}
    numbers = {world.ids.new_placed(world.clock.now(), ALICE).int & 0xFF for _ in range(12)}
    assert numbers == {HOME}


async def test_a_bucket_that_fails_refuses_its_own_calls_and_lists_only(world):
    storage = world.storage()
    sessions = [await storage.add() for _ in range(6)]
    world.stores[2].failure = StorageUnavailable()
    for session in sessions:
        if session.ref.session_id.int & 0xFF == 2:
            with pytest.raises(StorageUnavailable):
                await storage.sessions.get(session.ref)
        else:
            assert await storage.execute(session.ref) == 1
    with pytest.raises(StorageUnavailable):
        await storage.sessions.page(ANONYMOUS, SessionFilter(storage.clock.now()), None, 5)


async def started_file(world: World, number: int) -> None:
    """Begin a file of ALICE in a bucket, which counts as the smallest one."""
    file_id, until = in_bucket(world.ids.new(world.clock.now()), number), world.clock.now() + timedelta(days=1)
    await world.storage().files.start(FileStart(file_id, ALICE, "a.txt", "text/plain", 1, until))


async def test_files_begin_while_another_bucket_of_the_owner_is_away_and_counts_as_at_its_last_answer(world):
    files, now = BucketFiles(world.directory), world.clock.now()
    for number in (1, 2, 3):
        await started_file(world, number)
    assert await files.stored_bytes(ALICE, now) == 3 * COUNTED_MIN
    world.files[3].failure = StorageUnavailable()
    await started_file(world, 1)
    assert await files.stored_bytes(ALICE, now) == 4 * COUNTED_MIN
    assert await BucketFiles(world.directory).stored_bytes(ALICE, now) == 3 * COUNTED_MIN, "it has not counted bucket 3"
    with pytest.raises(StorageUnavailable):
        await files.page(ALICE, None, 5, now)
    for each in world.files.values():
        each.failure = StorageUnavailable()
    with pytest.raises(StorageUnavailable):
        await files.stored_bytes(ALICE, now)


async def initialized(world: World, key: IdempotencyKey) -> Session:
    storage = world.storage()
    session = storage.new_session(ALICE, key.value, **LONG)
    first = await storage.keyed_sessions.initialize(made_of(session), session, SCRIPT, key)
    return await storage.sessions.get(first.ref)


async def test_a_key_from_before_a_raise_is_found_after_it_for_as_long_as_keys_are_kept(world):
    before = {key.value: await initialized(world, key) for key in KEYS}
    await world.raised(4, 5, 6, 7)
    world.later(AFTER_THE_PAUSE)
    keyed, now = world.storage().keyed_sessions, world.clock.now()
    for key in KEYS:
        assert (await keyed.initialized(ALICE, key, now)).ref == before[key.value].ref
        assert (await initialized(world, key)).ref == before[key.value].ref
        with pytest.raises(IdempotencyConflict):
            await initialized(world, IdempotencyKey(key.value, "f" * 64))
    assert not any(world.stores[number].sessions for number in (4, 5, 6, 7))
    world.later(KEPT_FOR)
    await world.directory.refresh()
    news = {(await initialized(world, key)).ref for key in KEYS}
    assert not news & {each.ref for each in before.values()}
    used = {
        number for number, store in world.stores.items() if any(each.ref in news for each in store.sessions.values())
    }
    assert used == set(world.directory.buckets.spread(ALICE, world.clock.now()))


async def test_only_new_keys_that_get_another_bucket_pause_after_a_raise(world):
    stored, new = KEYS[:20], KEYS[20:]
    before = {key.value: await initialized(world, key) for key in stored}
    await world.raised(4, 5, 6, 7)
    for key in stored:
        assert (await initialized(world, key)).ref == before[key.value].ref
    ended = await asyncio.gather(*(initialized(world, key) for key in new), return_exceptions=True)
    assert {type(each) for each in ended} == {Session, BucketsChange}
    assert {each.stored for each in ended if isinstance(each, BucketsChange)} == {"no"}
    world.later(AFTER_THE_PAUSE)
    for key in new:
        await initialized(world, key)


async def test_a_hidden_session_from_before_a_raise_serves_on_and_further_ones_are_beside_its_keys(world):
    storage = world.storage()
    pinned = {"function_id": FUNCTION, "hidden": True, **LONG}

    def hidden(version: int) -> Session:
        return storage.new_session(ALICE, str(TITLE), function_version=version, **pinned)

    first = await storage.hidden.open(hidden(1), SCRIPT)
    begun = await storage.keyed_executions.begin(*storage.request(first), KEYS[0])
    await storage.keyed_executions.finish(storage.finished(begun), KEYS[0])
    added = await raised_until_it_moves(world, str(TITLE), ALICE)
    with pytest.raises(BucketsChange):
        await storage.hidden.open(hidden(2), SCRIPT)
    assert await storage.hidden.open(hidden(1), SCRIPT) == first
    world.later(AFTER_THE_PAUSE)
    second = await storage.hidden.open(hidden(2), SCRIPT)
    assert second.session_id in world.stores[added].sessions
    assert await storage.hidden.open(hidden(1), SCRIPT) == first
    assert await storage.hidden.refs(ALICE, TITLE, FUNCTION) == [second, first]
    now = world.clock.now()
    assert await storage.hidden.key_holder(ALICE, TITLE, FUNCTION, KEYS[0], now) == first
    assert isinstance(await storage.keyed_executions.begin(*storage.request(first), KEYS[0]), Executed)


async def raised_until_it_moves(world: World, text: str, owner: Owner) -> int:
    """Add one bucket that gets what the owner finds by the text, and return it."""
    buckets = world.directory.buckets
    for number in range(4, 100):
        await world.raised(number)
        if world.directory.buckets.hashed(text, owner, world.clock.now()) == number:
            return number
        world.announced.buckets = buckets.buckets
    raise AssertionError("no bucket gets the text")


async def test_a_hidden_session_beside_something_lies_there(world):
    storage = world.storage()
    beside = in_bucket(world.ids.new(world.clock.now()), 3)
    for like in (beside, in_bucket(beside, 1)):
        ref = SessionRef(ALICE, world.ids.new(world.clock.now(), like))
        session = storage.new_session(ALICE, function_id=FUNCTION, function_version=1, hidden=True, ref=ref)
        assert await storage.hidden.open(session, SCRIPT) == ref
        assert ref.session_id in world.stores[like.int & 0xFF].sessions


async def test_a_version_of_a_function_that_nobody_has_registered_is_not_current(world):
    storage = world.storage()
    session = storage.new_session(ALICE, str(TITLE), function_id=FUNCTION, function_version=1, hidden=True)
    begun = await storage.begin(await storage.hidden.open(session, SCRIPT))
    assert not begun.is_current


@pytest.mark.parametrize("refusal", [Overloaded("the functions"), ShuttingDown()])
async def test_a_begin_whose_version_home_cannot_judge_says_that_a_record_is_stored(world, refusal):
    storage = world.storage()
    session = storage.new_session(ALICE, str(TITLE), function_id=FUNCTION, function_version=1, hidden=True)
    ref = await storage.hidden.open(session, SCRIPT)
    world.functions.failure = refusal
    with pytest.raises(StorageUnavailable) as caught:
        await storage.begin(ref)
    assert caught.value.stored == "unknown"


async def test_a_raised_number_of_buckets_opens_each_once(world):
    world.announced.buckets = [*world.announced.buckets, Bucket(9, world.clock.now() + ANNOUNCED)]
    await world.directory.refresh()
    await world.directory.refresh()
    assert world.made == [HOME, 1, 2, 3, 9]
    assert world.directory.at(9).number == 9


async def test_calls_of_a_function_beside_a_schedule_run_in_its_bucket(world):
    storage, now = world.storage(), world.clock.now()
    made = Definition(SCRIPT)
    function = Function(FUNCTION, ALICE, TITLE, made, now, now)
    await storage.functions.update(ALICE, TITLE, lambda _: function, act())
    policy = SessionPolicy(LifetimePolicy(100, 1000), LimitsPolicy(LIMITS, 60_000, 512), 1000, 5.0)
    mapping = LanguageMapping({}, ())
    functions = FunctionSessions(
        world.clock, world.ids, storage.functions, storage.hidden, mapping, policy, Unlimited()
    )

    async def called(beside: UUID | None) -> SessionRef:
        async def call(ref: SessionRef, _: Budget) -> SessionRef:
            return ref

        return await functions.in_session(ALICE, str(TITLE), None, call, beside)

    beside = [in_bucket(world.ids.new(now), number) for number in (1, 2, 3)]
    refs = [await called(each) for each in beside]
    assert [ref.session_id.int & 0xFF for ref in refs] == [1, 2, 3]
    assert [await called(each) for each in beside] == refs
    assert (await called(None)).session_id.int & 0xFF == world.directory.buckets.hashed(str(TITLE), ALICE, now)
