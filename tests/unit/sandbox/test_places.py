"""Places: one session each, warm ones first, the least recently used go, and waits are bounded and fair."""

import asyncio

import pytest

from adapters.sandbox.pool.slot import PoolLimits, SlotKind, SlotRequest
from adapters.sandbox.pool.worker_pool import WorkerPool
from adapters.sandbox.stats import Eviction
from domain.errors import Overloaded
from domain.identity import Owner
from domain.scripts.language import Language
from tests.unit.sandbox.fakes import ManualProcess

KIND = SlotKind(Language.PYTHON, 128)


def request(session, *, keeps=True, kind=KIND, owner="anonymous"):
    return SlotRequest(session, kind, keeps, Owner(owner))


def places_of(places_max=2, session_places_max=2, queue_length_max=2, queue_timeout_s=5.0, **more):
    return WorkerPool(PoolLimits(places_max, session_places_max, queue_length_max, queue_timeout_s, **more))


async def taken(places, session, **wanted):
    place = await places.acquire(request(session, **wanted))
    place.process = place.process or ManualProcess()
    return place


async def queued(places, session, **wanted):
    task = asyncio.ensure_future(taken(places, session, **wanted))
    await asyncio.sleep(0)
    return task


async def test_a_session_finds_its_warm_place_again():
    places = places_of()
    place = await taken(places, 1)
    places.release(place, reusable=True)
    assert await taken(places, 1) is place


async def test_a_warm_place_is_never_given_to_another_session():
    places = places_of()
    place = await taken(places, 1)
    places.release(place, reusable=True)
    assert await taken(places, 2) is not place
    assert place.process.alive


@pytest.mark.parametrize("kind", [SlotKind(Language.PYTHON, 64), SlotKind(Language.NODEJS, 128)])
async def test_a_place_of_another_kind_is_not_used(kind):
    places = places_of()
    place = await taken(places, 1)
    places.release(place, reusable=True)
    assert await taken(places, 1, kind=kind) is not place


async def test_what_is_not_reusable_is_killed_and_leaves():
    places = places_of()
    place = await taken(places, 1)
    places.release(place, reusable=False)
    assert place.process.killed
    assert places.ledger.count == 0


async def test_a_dead_worker_is_not_kept():
    places = places_of()
    place = await taken(places, 1)
    place.process.alive = False
    places.release(place, reusable=True)
    assert places.ledger.count == 0


async def test_without_keeping_every_run_has_a_place_of_its_own():
    places = places_of()
    place = await taken(places, 1, keeps=False)
    places.release(place, reusable=True)
    assert place.process.killed
    assert await taken(places, 1, keeps=False) is not place


async def test_the_least_recently_used_idle_place_makes_room():
    places = places_of()
    first, second = await taken(places, 1), await taken(places, 2)
    places.release(second, reusable=True)
    places.release(first, reusable=True)
    await taken(places, 3)
    assert second.process.killed
    assert not first.process.killed


async def test_an_own_idle_place_of_another_kind_makes_room_at_the_sessions_limit():
    places = places_of(places_max=5, session_places_max=1)
    old = await taken(places, 1)
    places.release(old, reusable=True)
    await taken(places, 1, kind=SlotKind(Language.PYTHON, 64))
    assert old.process.killed


async def test_who_waits_gets_the_place_that_is_given_back():
    places = places_of(places_max=1)
    place = await taken(places, 1)
    waiting = await queued(places, 2)
    assert places.waiting == 1
    places.release(place, reusable=True)
    assert (await waiting).request.session == 2
    assert place.process.killed


async def test_waiters_are_served_in_their_order():
    places, served = places_of(places_max=1), []
    place = await taken(places, 1)
    tasks = [await queued(places, session) for session in (2, 3)]
    for task in tasks:
        places.release(place, reusable=True)
        place = await task
        served.append(place.request.session)
    assert served == [2, 3]


async def test_a_session_at_its_limit_waits_without_holding_up_others():
    places = places_of(places_max=3, session_places_max=1)
    place = await taken(places, 1)
    waiting = await queued(places, 1)
    await taken(places, 2)
    assert not waiting.done()
    places.release(place, reusable=True)
    assert await waiting is place


async def test_a_full_queue_refuses():
    places = places_of(places_max=1, queue_length_max=0)
    await taken(places, 1)
    with pytest.raises(Overloaded) as refused:
        await places.acquire(request(2))
    assert refused.value.queue == "a worker"


async def test_a_wait_has_an_end():
    places = places_of(places_max=1, queue_timeout_s=0.01)
    await taken(places, 1)
    with pytest.raises(Overloaded):
        await places.acquire(request(2))
    assert places.waiting == 0


async def test_a_cancelled_wait_leaves_the_queue():
    places = places_of(places_max=1)
    place = await taken(places, 1)
    waiting = await queued(places, 2)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert places.waiting == 0
    places.release(place, reusable=True)
    assert len(places.ledger.idle) == 1


async def test_a_wait_cancelled_in_the_moment_of_its_grant_gives_the_place_back():
    places = places_of(places_max=1)
    place = await taken(places, 1)
    waiting = await queued(places, 2)
    places.release(place, reusable=True)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert places.ledger.count == 0


async def test_an_ended_session_loses_idle_places_now_and_busy_ones_after_the_run():
    places = places_of()
    idle, busy = await taken(places, 1), await taken(places, 1)
    places.release(idle, reusable=True)
    places.evict(1)
    assert (idle.process.killed, busy.process.killed) == (True, False)
    places.release(busy, reusable=True)
    assert busy.process.killed
    assert places.ledger.count == 0


async def test_idle_places_go_with_time():
    now = [0.0]
    places = WorkerPool(PoolLimits(2, 2, 2, 1.0), now=lambda: now[0])
    old, young = await taken(places, 1), await taken(places, 2)
    places.release(old, reusable=True)
    now[0] = 7.0
    places.release(young, reusable=True)
    places.evict_idle(5.0)
    assert (old.process.killed, young.process.killed) == (True, False)


async def test_idle_places_go_with_their_sessions_time():
    now = [0.0]
    places = WorkerPool(PoolLimits(2, 2, 2, 1.0), now=lambda: now[0])
    place = await taken(places, 1)
    place.useful_until = 1.0
    places.release(place, reusable=True)
    places.evict_idle(100.0)
    assert not place.process.killed
    now[0] = 1.5
    places.evict_idle(100.0)
    assert place.process.killed


async def test_idle_places_go_whose_worker_does_not_rest():
    places = places_of()
    quiet, restless = await taken(places, 1), await taken(places, 2)
    for place in (quiet, restless):
        places.release(place, reusable=True)
    restless.process.is_restless = True
    places.evict_restless()
    assert (quiet.process.killed, restless.process.killed) == (False, True)


async def test_whoever_runs_need_not_rest():
    places = places_of()
    place = await taken(places, 1)
    place.process.is_restless = True
    places.evict_restless()
    assert not place.process.killed


async def test_a_worker_that_dies_idle_frees_its_place():
    places = places_of()
    place = await taken(places, 1)
    places.release(place, reusable=True)
    place.process.die()
    assert (places.ledger.count, len(places.ledger.idle)) == (0, 0)


async def test_a_worker_that_is_in_use_again_is_not_watched_any_more():
    places = places_of()
    place = await taken(places, 1)
    places.release(place, reusable=True)
    await taken(places, 1)
    assert place.process.on_death is None


async def test_clearing_kills_everything_and_turns_everybody_away():
    places = places_of(places_max=2)
    busy, idle = await taken(places, 1), await taken(places, 2)
    waiting = await queued(places, 3)
    gone = await queued(places, 4)
    gone.cancel()
    places.clear()
    with pytest.raises(Overloaded):
        await waiting
    assert busy.process.killed
    assert idle.process.killed
    assert places.ledger.count == 0
    places.release(busy, reusable=True)
    assert places.ledger.count == 0


async def test_an_owner_at_its_limit_waits_without_holding_up_others():
    places = places_of(places_max=5, owner_running_max=1)
    place = await taken(places, 1, owner="a")
    waiting = await queued(places, 2, owner="a")
    await taken(places, 3, owner="b")
    assert not waiting.done()
    places.release(place, reusable=True)
    assert (await waiting).request.session == 2


async def test_warm_places_are_more_than_run_at_once():
    places = places_of(places_max=9, running_max=2)
    warm = [await taken(places, n) for n in (1, 2)]
    waiting = await queued(places, 3)
    assert not waiting.done()
    places.release(warm[0], reusable=True)
    third = await waiting
    assert warm[0] in places.ledger.idle
    own = await queued(places, 1)
    assert not own.done(), "a warm place does not run beyond the bound either"
    places.release(third, reusable=True)
    assert await own is warm[0]
    assert not warm[1].process.killed


async def test_of_what_runs_at_once_an_owner_has_a_fair_share():
    places = places_of(places_max=20, session_places_max=9, running_max=5, queue_length_max=9)
    many = [await taken(places, n, owner="many") for n in range(4)]
    waiting = await queued(places, 9, owner="many")
    assert not waiting.done(), "four times as many as are free"
    other = await taken(places, 20, owner="few")
    places.release(other, reusable=True)
    assert not waiting.done()
    places.release(many[0], reusable=True)
    assert (await waiting).request.owner == "many"


async def test_whose_owner_has_less_running_is_served_first():
    places = places_of(places_max=3, queue_length_max=5)
    running = [await taken(places, n, owner="many") for n in range(3)]
    late = [await queued(places, 10 + n, owner="many") for n in range(2)]
    other = await queued(places, 20, owner="few")
    places.release(running[0], reusable=False)
    assert (await other).request.owner == "few"
    assert not any(task.done() for task in late)
    places.release(running[1], reusable=False)
    assert (await late[0]).request.session == 10
    late[1].cancel()
    await asyncio.wait([late[1]])


MIB = 1 << 20


async def test_running_places_count_all_that_they_may_take_and_idle_ones_what_they_hold():
    places = places_of(memory_bytes_max=1000 * MIB)
    place = await taken(places, 1)
    assert places.ledger.memory_bytes == 128 * MIB
    places.release(place, reusable=True, memory_bytes=20 * MIB)
    assert places.ledger.memory_bytes == 20 * MIB
    await taken(places, 1)
    assert places.ledger.memory_bytes == 128 * MIB
    places.clear()
    assert places.ledger.memory_bytes == 0


async def test_idle_places_make_room_within_the_memory_of_all():
    places = places_of(places_max=9, memory_bytes_max=150 * MIB)
    idle = []
    for session in (1, 2):
        place = await taken(places, session)
        places.release(place, reusable=True, memory_bytes=12 * MIB)
        idle.append(place.process)
    await taken(places, 3)
    assert [process.killed for process in idle] == [True, False]
    assert places.ledger.memory_bytes == 140 * MIB


async def test_who_finds_no_memory_waits_for_it():
    places = places_of(places_max=9, memory_bytes_max=200 * MIB)
    place = await taken(places, 1)
    waiting = await queued(places, 2)
    assert not waiting.done()
    places.release(place, reusable=False)
    assert (await waiting).request.session == 2


async def test_an_own_warm_place_is_not_given_up_for_its_own_session():
    places = places_of(places_max=9, memory_bytes_max=130 * MIB)
    place = await taken(places, 1)
    places.release(place, reusable=True, memory_bytes=12 * MIB)
    assert await taken(places, 1) is place


async def test_a_lone_call_runs_whatever_it_may_take():
    places = places_of(memory_bytes_max=10 * MIB)
    assert (await taken(places, 1)).is_running


async def test_a_call_waits_for_its_own_warm_worker_rather_than_end_another_sessions():
    places = places_of()
    own, other = await taken(places, 1), await taken(places, 2)
    places.release(other, reusable=True)
    waiting = await queued(places, 1)
    assert not waiting.done()
    places.release(own, reusable=True)
    assert await waiting is own
    assert not other.process.killed


async def test_a_call_whose_patience_is_over_takes_an_idle_place():
    places = places_of(patience_s=0)
    own, other = await taken(places, 1), await taken(places, 2)
    places.release(other, reusable=True)
    assert await taken(places, 1) not in (own, other)
    assert other.process.killed


async def test_a_place_goes_to_its_own_session_before_it_is_ended_for_another():
    places = places_of(places_max=1)
    place = await taken(places, 1)
    other, own = await queued(places, 2), await queued(places, 1)
    places.release(place, reusable=True)
    assert await own is place
    assert not other.done()
    places.release(place, reusable=True)
    assert (await other).request.session == 2
    assert place.process.killed


async def test_who_has_lost_patience_is_served_before_the_session_of_the_free_place():
    places = places_of(places_max=1, patience_s=0)
    place = await taken(places, 1)
    other = await queued(places, 2)
    await asyncio.sleep(0)
    own = await queued(places, 1)
    places.release(place, reusable=True)
    assert (await other).request.session == 2
    assert not own.done()
    own.cancel()


async def test_the_place_of_a_worker_that_dies_idle_goes_to_who_waits():
    places = places_of()
    own, other = await taken(places, 1), await taken(places, 2)
    places.release(other, reusable=True)
    waiting = await queued(places, 1)
    other.process.die()
    assert await waiting not in (own, other)


async def test_a_newcomer_of_whom_nothing_runs_comes_before_a_flood_that_has_lost_patience():
    places = places_of(places_max=2, queue_length_max=100, patience_s=0)
    first, _ = await taken(places, 1, owner="flooder"), await taken(places, 2, owner="flooder")
    flood = [await queued(places, 3 + i, owner="flooder") for i in range(20)]
    await asyncio.sleep(0.001)
    newcomer = await queued(places, 99, owner="neighbour")
    places.release(first, reusable=True)
    await newcomer
    assert not any(each.done() for each in flood)
    for each in flood:
        each.cancel()


async def test_owners_of_whom_as_much_runs_are_served_in_turn():
    places = places_of(places_max=1, queue_length_max=100)
    place = await taken(places, 1, owner="somebody")
    waiting = [await queued(places, 10 * i + j, owner=owner) for i, owner in enumerate("ab", 1) for j in range(2)]
    served = []
    for _ in range(4):
        places.release(place, reusable=False)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        (ended,) = [each for each in waiting if each.done() and each.result() not in served]
        place = ended.result()
        served.append(place)
    assert [each.request.owner for each in served] == ["a", "b", "a", "b"]


async def test_of_the_queue_an_owner_gets_a_share():
    places = places_of(places_max=1, queue_length_max=5)
    await taken(places, 1, owner="flooder")
    flood = [await queued(places, 2, owner="flooder") for _ in range(4)]
    with pytest.raises(Overloaded):
        await taken(places, 2, owner="flooder")
    newcomer = await queued(places, 3, owner="neighbour")
    assert places.waiting == 5
    with pytest.raises(Overloaded):
        await taken(places, 4, owner="third")
    for each in (*flood, newcomer):
        each.cancel()


async def test_who_is_at_the_limit_is_passed_over():
    places = places_of(places_max=2, queue_length_max=9, owner_running_max=1)
    first, _ = await taken(places, 1, owner="a"), await taken(places, 2, owner="b")
    waiting = [await queued(places, 3 + i, owner="b") for i in range(3)]
    other = await queued(places, 9, owner="a")
    places.release(first, reusable=True)
    await other
    assert not any(each.done() for each in waiting)
    for each in waiting:
        each.cancel()


async def test_a_flood_does_not_end_the_workers_that_others_keep_warm():
    places = places_of(places_max=10, queue_length_max=100)
    warm = [await taken(places, i, owner="neighbour") for i in range(2)]
    for place in warm:
        places.release(place, reusable=True)
    flood = [await taken(places, 10 + i, owner="flooder") for i in range(8)]
    waiting = await queued(places, 90, owner="flooder")
    assert not waiting.done()
    assert all(place.process.alive for place in warm)
    assert [await taken(places, i, owner="neighbour") for i in range(2)] == warm
    places.release(flood[0], reusable=True)
    assert (await waiting).request.session == 90, "their own are theirs to end"


async def test_an_owner_of_whom_little_runs_may_end_the_idle_workers_of_others():
    places = places_of(places_max=3)
    for i in range(3):
        places.release(await taken(places, i, owner="abc"[i]), reusable=True)
    for i in range(2):
        await taken(places, 10 + i, owner="d")
    late = await queued(places, 12, owner="d")
    assert not late.done(), "as much of theirs runs as is idle"
    late.cancel()


async def test_an_owner_who_has_few_warm_workers_loses_them_to_nobody_who_has_many():
    places = places_of(places_max=8)
    few = [await taken(places, i, owner="few") for i in range(2)]
    for place in few:
        places.release(place, reusable=True)
    for i in range(20):
        places.release(await taken(places, 10 + i, owner="many"), reusable=True)
    assert await taken(places, 0, owner="few") is few[0]
    await taken(places, 2, owner="few")
    assert [place.request.session for place in places.ledger.idle] == [1, *range(25, 30)]


async def test_a_warm_worker_that_is_not_used_any_more_is_kept_for_nobody():
    now = [0.0]
    places = WorkerPool(PoolLimits(4, 2, 9, 5.0), now=lambda: now[0])
    places.release(await taken(places, 0, owner="few"), reusable=True)
    now[0] = 61.0
    for i in range(4):
        places.release(await taken(places, 10 + i, owner="many"), reusable=True)
    assert [place.request.session for place in places.ledger.idle] == [10, 11, 12, 13]


async def test_what_would_not_be_enough_is_not_ended():
    places = places_of(places_max=9, memory_bytes_max=2 * KIND.memory_bytes)
    await taken(places, 1)
    idle = await taken(places, 2)
    places.release(idle, reusable=True, memory_bytes=20 << 20)
    late = await queued(places, 3, kind=SlotKind(Language.PYTHON, 512))
    assert not late.done()
    assert idle.process.alive
    late.cancel()


async def test_while_there_is_room_a_call_takes_its_idle_warm_worker_before_later_calls_of_a_busy_session():
    places = places_of(places_max=9, running_max=1, queue_length_max=9)
    places.release(await taken(places, 1), reusable=True)
    hot = await taken(places, 2)
    waiting, later = await queued(places, 1), await queued(places, 2)
    places.release(hot, reusable=True)
    assert (await waiting).request.session == 1
    assert not later.done()
    later.cancel()


async def test_memory_is_not_taken_from_the_workers_that_others_keep_warm_either():
    places = places_of(places_max=100, queue_length_max=100, memory_bytes_max=10 * KIND.memory_bytes)
    warm = [await taken(places, i, owner="neighbour") for i in range(2)]
    for place in warm:
        places.release(place, reusable=True)
    for i in range(8):
        await taken(places, 10 + i, owner="flooder")
    waiting = await queued(places, 90, owner="flooder")
    assert not waiting.done()
    assert all(place.process.alive for place in warm)
    waiting.cancel()


async def test_why_workers_were_taken_from_their_sessions_is_counted():
    places = places_of(places_max=1)
    for session in (1, 2):
        places.release(await taken(places, session), reusable=True)
    assert places.ledger.evictions == {Eviction.PRESSURE: 1}
    places.evict_idle(idle_s=-1)
    running = await taken(places, 3)
    places.evict(3)
    places.release(running, reusable=True)
    restless = await taken(places, 5)
    places.release(restless, reusable=True)
    restless.process.is_restless = True
    places.evict_restless()
    dying = await taken(places, 4)
    places.release(dying, reusable=True)
    dying.process.die()
    assert places.ledger.evictions == dict.fromkeys(Eviction, 1)


async def test_who_has_lost_patience_still_waits_for_no_longer_than_the_queue_allows():
    places = places_of(places_max=1, queue_timeout_s=0.02, patience_s=0.01)
    await taken(places, 1)
    async with asyncio.timeout(3):
        with pytest.raises(Overloaded):
            await places.acquire(request(2))
    assert places.waiting == 0


async def test_a_wait_ends_in_time_however_long_its_patience():
    places = places_of(places_max=1, queue_timeout_s=0.01, patience_s=60.0)
    await taken(places, 1)
    async with asyncio.timeout(3):
        with pytest.raises(Overloaded):
            await places.acquire(request(2))


async def test_losing_patience_is_enough_to_be_served():
    places = places_of(patience_s=0.01, queue_timeout_s=60.0, burst_s=60.0)
    own, other = await taken(places, 1), await taken(places, 2)
    places.release(other, reusable=True)
    async with asyncio.timeout(3):
        assert await taken(places, 1) not in (own, other)
