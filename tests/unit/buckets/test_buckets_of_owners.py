"""What an owner has lies in few buckets, and a call that lists or counts it asks these only."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from adapters.buckets.counts import BucketExecutionCounts, BucketUsageReader
from adapters.buckets.deliveries import BucketDeliveries
from adapters.buckets.owners import (
    BucketOwnerMover,
    BucketOwnerPurger,
    BucketSessionPurger,
    ForgottenMoves,
    TooManyMoves,
)
from adapters.buckets.queue import BucketQueue
from adapters.buckets.schedules import BucketSchedules
from adapters.buckets.webhooks import BucketWebhooks
from domain.access.owner_move import OwnedData
from domain.buckets.bucket_map import ANNOUNCED, FRESH, HOME, SETTLING, SPREAD_MAX, Bucket, BucketsChange
from domain.errors import StorageUnavailable
from domain.idempotency import KEPT_FOR, IdempotencyKey
from domain.identity import ANONYMOUS, EVERY_OWNER, Owner, SessionRef
from domain.sessions.ports import SessionFilter
from domain.sessions.session import SessionNotFound
from domain.webhooks.webhook import ENDS, SecretVersion, Webhook
from tests.contracts.execution_queue import LONG, QueueOfOne
from tests.contracts.hidden_session_repository import FUNCTION, TITLE
from tests.contracts.keyed_call_repository import made_of
from tests.contracts.schedule_repository import Planner
from tests.contracts.storage import ALICE, BOB, SCRIPT
from tests.support.acts import act
from tests.unit.buckets.world import LONG_AGO, PAUSE, Announced, World

CAROL = Owner("carol")
OWNERS = [ANONYMOUS, ALICE, BOB, CAROL]
NUMBERS = range(1, 13)
AFTER_THE_PAUSE = PAUSE + SETTLING


@pytest.fixture
async def world() -> World:
    return await of_many_buckets()


async def of_many_buckets() -> World:
    return await World(Announced([Bucket(number, LONG_AGO) for number in NUMBERS])).opened()


@contextmanager
def others_failing(world: World, *owners: Owner) -> Iterator[None]:
    """Let all buckets fail but those that may have something of these owners."""
    asked = {number for owner in owners for number in world.directory.buckets.all_of(owner)}
    others = [store for number, store in world.stores.items() if number not in asked]
    assert others, "there is nothing that must not be asked"
    for store in others:
        store.failure = StorageUnavailable()
    yield
    for store in others:
        store.failure = None


async def move(world: World, source: Owner, target: Owner) -> list[float]:
    """Move what an owner has; return the waits of the command."""
    waits: list[float] = []

    async def wait(pause_s: float) -> None:
        waits.append(pause_s)
        world.later(timedelta(seconds=pause_s))

    async for _ in BucketOwnerMover(world.directory, wait).move(source, target, act()):
        pass
    return waits


async def no_wait(_: float) -> None:
    return


async def test_lists_and_counts_of_an_owner_ask_its_own_buckets_only(world):
    storage, process = world.storage(), QueueOfOne(world.storage())
    schedules, usage, counts = (
        BucketSchedules(world.directory),
        BucketUsageReader(world.directory),
        BucketExecutionCounts(world.directory),
    )
    sessions = [await storage.add(ALICE, **LONG) for _ in range(8)]
    for session in sessions[:2]:
        await process.add(session)
        await storage.begin(session.ref)
        await Planner(storage, schedules).add(session)
    await storage.execute(sessions[0].ref)
    until = world.later(timedelta(seconds=1))
    for each in world.counts:
        each.count(until)
    now = world.clock.now()
    with others_failing(world, ALICE):
        assert [each.ref for each in await storage.listed(ALICE)] == [each.ref for each in reversed(sessions)]
        assert len((await schedules.page(ALICE, None, 9)).items) == 2
        assert len((await process.queue.page(ALICE, None, 9, now)).items) == 2
        assert await process.queue.queued(ALICE, 100) == 2
        assert sum(each.queued for each in await process.queue.facts(ALICE, now, 100)) == 2
        ((stored,), (held,)) = await usage.usage([ALICE], now), await usage.holdings([ALICE], 100)
        assert (stored.live_sessions, held.schedules, held.queued_executions) == (8, 2, 2)
        assert await usage.open_executions([ALICE], now) == [2]
        assert await counts.counted_until(ALICE) is not None
        assert await counts.days([ALICE], now.date())
        webhook_id = world.ids.new(now)
        assert (await BucketDeliveries(world.directory).page(ALICE, webhook_id, None, 9, None)).items == []
        assert (await BucketOwnerPurger(world.directory).count(ALICE))[OwnedData.SESSIONS] == 8
        with pytest.raises(StorageUnavailable):
            await storage.listed(EVERY_OWNER)
        with pytest.raises(StorageUnavailable):
            await BucketQueue(world.directory).page(EVERY_OWNER, None, 9, now)


async def test_usage_of_several_owners_asks_each_bucket_for_the_owners_that_it_may_have(world):
    storage, usage = world.storage(), BucketUsageReader(world.directory)
    for owner, number in ((ALICE, 3), (BOB, 5)):
        for _ in range(number):
            await storage.add(owner)
    with others_failing(world, ALICE, BOB):
        found = await usage.usage([BOB, ALICE, BOB], world.clock.now())
    assert [each.live_sessions for each in found] == [5, 3, 5]


async def test_keyed_and_hidden_sessions_lie_in_the_buckets_of_their_owner(world):
    owned = Owned(world)
    for n in range(30):
        await owned.keyed(ALICE, f"key {n}")
        await owned.opened(ALICE, n)
    asked = world.directory.buckets.all_of(ALICE)
    assert len(asked) == SPREAD_MAX + 1
    assert {number for number, store in world.stores.items() if store.sessions} == set(asked) - {HOME}


async def test_a_list_is_refused_while_a_bucket_may_be_missing_in_it(world):
    await world.storage().add(ALICE)
    world.later(FRESH + timedelta(seconds=1))
    with pytest.raises(StorageUnavailable):
        await world.storage().listed(ALICE)
    assert await BucketUsageReader(world.directory).usage([ALICE], world.clock.now()), "counts go on"
    await world.directory.refresh()
    assert len(await world.storage().listed(ALICE)) == 1


async def test_an_owner_whose_buckets_are_all_away_gets_new_sessions_at_home_and_in_its_list(world):
    world.away = set(world.directory.buckets.all_of(ALICE)) - {HOME}
    session = await world.storage().add(ALICE)
    assert session.ref.session_id in world.stores[HOME].sessions
    assert await world.storage().execute(session.ref) == 1
    assert [each.ref for each in await world.storage().listed(ALICE)] == [session.ref]


async def test_a_move_waits_until_all_controllers_know_where_the_rows_of_the_new_owner_lie(world):
    await Owned(world).keyed(ALICE, "a key")
    assert await move(world, ALICE, BOB) == [ANNOUNCED.total_seconds()]
    assert ANNOUNCED > FRESH
    await world.announced.announce(BOB, CAROL, world.clock.now())  # as a command that was stopped does
    world.later(timedelta(seconds=20))
    assert await move(world, BOB, CAROL) == [40.0]
    assert await move(world, BOB, CAROL) == [0.0]


async def test_so_many_moves_are_known_and_no_further_one_moves_anything(world):
    await move(world, ALICE, BOB)
    mover = BucketOwnerMover(world.directory, moves_max=1)
    await world.storage().add(BOB)
    with pytest.raises(TooManyMoves, match="remembers 1 moves"):
        await anext(aiter(mover.move(BOB, CAROL, act())))
    assert len(await world.storage().listed(BOB)) == 1


async def test_copies_of_webhooks_follow_a_move_and_a_purge_in_all_buckets(world):
    webhooks = BucketWebhooks(world.directory)
    webhook = Webhook(world.ids.new(world.clock.now()), ALICE, "https://a.example/", ENDS, SecretVersion("0" * 16))
    await webhooks.add(webhook, 20, act())
    await move(world, ALICE, BOB)
    copies = [store.webhooks[webhook.webhook_id] for store in world.sent.values()]
    assert [each.owner for each in copies] == [BOB] * (len(NUMBERS) + 1)
    async for _ in BucketOwnerPurger(world.directory).purge(BOB, act()):
        pass
    assert not any(store.webhooks for store in world.sent.values())


async def test_an_operator_may_think_for_a_while_before_a_move_or_a_purge(world):
    await world.storage().add(ALICE)
    world.later(FRESH * 2)
    assert (await BucketOwnerMover(world.directory).count(ALICE))[OwnedData.SESSIONS] == 1
    world.later(FRESH * 2)
    assert len([step async for step in BucketOwnerPurger(world.directory).purge(ALICE, act())]) == 1


async def test_a_move_is_forgotten_once_all_that_it_moved_is_gone(world):
    await Owned(world).keyed(ALICE, "a key")
    for source, target in ((ALICE, BOB), (BOB, CAROL)):
        await move(world, source, target)
    mover, forgetting = BucketOwnerMover(world.directory), ForgottenMoves(world.directory)

    async def known_after(span: timedelta) -> int:
        world.later(span)
        await world.directory.refresh()
        await forgetting.run_once()
        return len(world.announced.moves)

    assert await known_after(KEPT_FOR) == 2, "its keys are kept"
    assert await known_after(timedelta(days=30)) == 2, "the session is there"
    assert await mover.oldest(CAROL) is not None
    async for _ in BucketOwnerPurger(world.directory).purge(CAROL, act()):
        pass
    await world.storage().add(CAROL)
    assert await known_after(timedelta(0)) == 0
    await world.directory.refresh()
    assert len(world.directory.of_owner(CAROL)) == SPREAD_MAX + 1
    assert len(await world.storage().listed(CAROL)) == 1


async def forgotten_after(world: World, span: timedelta) -> bool:
    """Return whether the only move is forgotten so long after it was announced."""
    (last_at,) = world.announced.moves.values()
    world.later(last_at + span - world.clock.now())
    await world.directory.refresh()
    await ForgottenMoves(world.directory).run_once()
    return not world.announced.moves


async def test_a_move_of_which_nothing_is_left_is_known_for_as_long_as_keys_of_the_former_owner(world):
    await move(world, ALICE, BOB)
    kept_for = KEPT_FOR + timedelta(days=1)
    assert not await forgotten_after(world, kept_for)
    assert await forgotten_after(world, kept_for + timedelta(microseconds=1))


@pytest.mark.parametrize(("after", "is_forgotten"), [(timedelta(hours=23), False), (timedelta(days=1), True)])
async def test_what_is_newer_than_a_day_after_a_move_was_not_moved(world, after, is_forgotten):
    await move(world, ALICE, BOB)
    (last_at,) = world.announced.moves.values()
    world.later(last_at + after - world.clock.now())
    await world.directory.refresh()
    await world.storage().add(BOB)
    assert await forgotten_after(world, timedelta(days=30)) is is_forgotten


async def test_what_lies_at_home_keeps_no_move(world):
    await move(world, ALICE, BOB)
    world.away = set(NUMBERS)
    await world.storage().add(BOB)
    assert await forgotten_after(world, timedelta(days=30))


async def test_the_oldest_thing_of_an_owner_is_that_of_all_its_buckets(world):
    mover = BucketOwnerMover(world.directory)
    assert await mover.oldest(ALICE) is None
    first = await world.storage().add(ALICE)
    for _ in range(8):
        world.later(timedelta(seconds=1))
        await world.storage().add(ALICE)
    assert await mover.oldest(ALICE) == first.created_at


async def test_a_move_is_announced_by_the_buckets_of_now():
    world = await World().opened()
    world.announced.buckets = [Bucket(number, LONG_AGO) for number in NUMBERS]  # another command has added some
    assert await move(world, ALICE, BOB) == [ANNOUNCED.total_seconds()]


async def test_functions_are_moved_at_home_only_and_on_request(world):
    for wanted in (True, False):
        steps = [
            each async for each in BucketOwnerMover(world.directory, no_wait).move(ALICE, BOB, act(), functions=wanted)
        ]
        assert len([each for each in steps if each.part is OwnedData.FUNCTIONS]) == wanted


async def test_a_session_is_purged_in_its_bucket(world):
    session = await world.storage().add(ALICE)
    await world.storage().execute(session.ref)
    await BucketSessionPurger(world.directory).purge(session.ref, act())
    assert not any(store.history for store in world.stores.values())


async def test_a_move_that_is_repeated_is_not_forgotten(world):
    await move(world, ALICE, BOB)
    world.later(timedelta(days=30))
    await world.directory.refresh()
    await world.announced.announce(ALICE, BOB, world.clock.now())  # after this controller has read the moves
    await ForgottenMoves(world.directory).run_once()
    assert world.announced.moves


async def test_moves_are_examined_again_and_again_though_a_bucket_is_away(world):
    await move(world, ALICE, BOB)
    world.later(timedelta(days=30))
    await world.directory.refresh()
    waits = 0

    class Enough(Exception):
        """The test has seen what it wants."""

    async def wait(_: float) -> None:
        nonlocal waits
        waits += 1
        for store in world.stores.values():
            store.failure = StorageUnavailable() if waits == 1 else None
        if waits == 3:
            raise Enough

    with pytest.raises(Enough):
        await ForgottenMoves(world.directory, wait).run()
    assert not world.announced.moves


async def test_a_move_between_owners_of_the_same_buckets_is_not_announced():
    world = await World().opened()
    await world.storage().add(ALICE)
    assert await move(world, ALICE, BOB) == []
    assert not world.announced.moves
    assert len(await world.storage().listed(BOB)) == 1


async def test_what_moved_twice_is_found_by_its_last_owner(world):
    owned = Owned(world)
    await owned.keyed(ALICE, "a key")
    await owned.opened(ALICE, 1)
    for source, target in ((ALICE, BOB), (BOB, CAROL), (CAROL, ALICE)):
        await move(world, source, target)
        owned.moved(source, target)
        await owned.judge()


@define
class Owned:
    """What owners have, as the calls have said."""

    world: World
    sessions: dict[UUID, Owner] = field(factory=dict)
    keys: dict[tuple[Owner, str], set[UUID]] = field(factory=dict)
    hidden: dict[tuple[Owner, int], set[UUID]] = field(factory=dict)

    async def created(self, owner: Owner) -> None:
        session = await self.world.storage().add(owner, **LONG)
        self.sessions[session.ref.session_id] = owner

    async def keyed(self, owner: Owner, text: str) -> None:
        """Initialize under a key, which returns the session of the first call."""
        storage, key = self.world.storage(), IdempotencyKey(text, "0" * 64)
        session = storage.new_session(owner, text, **LONG)
        first = await storage.keyed_sessions.initialize(made_of(session), session, SCRIPT, key)
        known = self.keys.setdefault((owner, text), {session.ref.session_id})
        assert first.ref.session_id in known
        self.sessions[first.ref.session_id] = owner
        again = await storage.keyed_sessions.initialized(owner, key, self.world.clock.now())
        assert again is not None
        assert again.ref.session_id == first.ref.session_id

    async def opened(self, owner: Owner, version: int) -> None:
        """Open a hidden session, or use the one that is there."""
        storage = self.world.storage()
        pinned = {"function_id": FUNCTION, "function_version": version, "hidden": True, **LONG}
        session = storage.new_session(owner, str(TITLE), **pinned)
        ref = await storage.hidden.open(session, SCRIPT)
        assert ref.session_id in self.hidden.setdefault((owner, version), {session.ref.session_id})
        assert ref in await storage.hidden.refs(owner, TITLE, FUNCTION, version)

    def moved(self, source: Owner, target: Owner) -> None:
        self.sessions |= {each: target for each, owner in self.sessions.items() if owner == source}
        for kept in (self.keys, self.hidden):
            for owner, name in [each for each in kept if each[0] == source]:
                kept.setdefault((target, name), set()).update(kept.pop((owner, name)))

    async def judge(self) -> None:
        """Read the lists of all owners, each without the other buckets, and call again what was called before."""
        storage = self.world.storage()
        for owner in (ALICE, BOB, CAROL):
            own = sorted((each for each, of in self.sessions.items() if of == owner), reverse=True)
            with others_failing(self.world, owner):
                assert [each.ref.session_id for each in await storage.listed(owner)] == own
        for owner, key in list(self.keys):
            await self.keyed(owner, key)
        for owner, version in list(self.hidden):
            await self.opened(owner, version)


STEPS = st.one_of(
    st.tuples(st.just("created"), st.sampled_from(OWNERS)),
    st.tuples(st.just("keyed"), st.sampled_from(OWNERS), st.sampled_from(["a", "b", "c", "d"])),
    st.tuples(st.just("opened"), st.sampled_from(OWNERS), st.integers(1, 3)),
    st.tuples(st.just("raised"), st.integers(1, 9)),
    st.tuples(st.just("moved"), st.sampled_from([ALICE, BOB, CAROL]), st.sampled_from([ALICE, BOB, CAROL])),
)


@given(steps=st.lists(STEPS, max_size=25))
async def test_a_list_is_complete_and_asks_no_other_bucket_after_any_history(steps):
    world = await of_many_buckets()
    owned, left = Owned(world), iter(range(NUMBERS.stop, 200))
    for name, *arguments in steps:
        if name == "raised":
            await world.raised(*(next(left) for _ in range(arguments[0])))
            world.later(AFTER_THE_PAUSE)
            await world.directory.refresh()
        elif name != "moved":
            await getattr(owned, name)(*arguments)
        elif arguments[0] != arguments[1]:
            await move(world, *arguments)
            owned.moved(*arguments)
    await owned.judge()


async def test_a_new_key_of_an_owner_pauses_if_a_raise_gives_it_another_bucket(world):
    owned = Owned(world)
    await world.raised(*range(20, 60))
    ended = []
    for n in range(20):
        try:
            await owned.keyed(ALICE, f"key {n}")
        except BucketsChange as error:
            ended.append(error.stored)
    assert ended
    assert set(ended) == {"no"}


async def test_a_session_of_the_former_owner_is_not_found_any_more(world):
    session = await world.storage().add(ALICE)
    await move(world, ALICE, BOB)
    with pytest.raises(SessionNotFound):
        await world.storage().sessions.get(session.ref)
    shown = SessionFilter(world.clock.now())
    (listed,) = (await world.storage().sessions.page(BOB, shown, None, 5)).items
    assert listed.ref == SessionRef(BOB, session.ref.session_id)


async def test_a_page_is_full_also_if_chance_has_put_most_sessions_into_one_bucket(world):
    storage, sessions = world.storage(), []
    first, second, *_ = world.directory.buckets.spread(ALICE, world.clock.now())
    for number, count in ((first, 14), (second, 3)):
        world.only = number
        sessions += [await storage.add(ALICE) for _ in range(count)]
    page = await storage.sessions.page(ALICE, SessionFilter(world.clock.now()), None, 16)
    assert [each.ref for each in page.items] == [each.ref for each in reversed(sessions[1:])]
    assert [each.ref for each in await storage.listed(ALICE, 16)] == [each.ref for each in reversed(sessions)]
