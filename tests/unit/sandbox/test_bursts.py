"""Only so many executions of a session are in their first moments at once; those that take longer hold up nobody."""

import asyncio

from adapters.sandbox.scheduling.bursts import Bursts
from adapters.sandbox.scheduling.place import Kind, PlaceLimits, PlaceRequest
from adapters.sandbox.scheduling.places import Places
from domain.language import Language

LONG_S = 60.0


def test_what_has_begun_counts_for_its_session_until_it_ends():
    bursts = Bursts(burst_s=1.0)
    bursts.begin("a", 1, 10.0)
    bursts.begin("b", 1, 10.2)
    bursts.begin("c", 2, 10.4)
    assert (bursts.count(1), bursts.count(2), bursts.count(3)) == (2, 1, 0)
    bursts.end("b")
    assert bursts.count(1) == 1
    bursts.end("b")
    assert bursts.count(1) == 1


def test_who_has_begun_long_ago_counts_no_more():
    bursts = Bursts(burst_s=1.0)
    assert bursts.next_end() is None
    bursts.begin("a", 1, 10.0)
    bursts.begin("b", 1, 10.5)
    assert bursts.next_end() == 11.0
    assert not bursts.expire(10.9)
    assert bursts.expire(11.0)
    assert bursts.count(1) == 1
    assert bursts.next_end() == 11.5
    assert bursts.expire(20.0)
    assert bursts.count(1) == 0
    assert not bursts.expire(20.0)


def places_of(now, **limits):
    return Places(PlaceLimits(9, 9, 9, 5.0, bursts_max={Language.PYTHON: 2}, **limits), now=lambda: now[0])


def request(session, language=Language.PYTHON):
    return PlaceRequest(session, Kind(language, 128), keeps=True)


async def queued(places, session):
    task = asyncio.ensure_future(places.acquire(request(session)))
    await asyncio.sleep(0)
    return task


async def test_who_waits_to_begin_is_not_overtaken():
    now = [0.0]
    places = places_of(now, burst_s=LONG_S)
    for _ in range(2):
        await places.acquire(request(1))
    first = await queued(places, 1)
    now[0] = LONG_S
    late = await queued(places, 1), await queued(places, 1)
    assert [each.done() for each in (first, *late)] == [True, True, False]
    places.clear()
    await asyncio.wait([late[1]])
    assert late[1].exception() is not None


async def test_a_session_begins_so_many_at_once_and_others_do_not_wait_for_it():
    places = places_of([0.0], burst_s=LONG_S)
    first, _ = await places.acquire(request(1)), await places.acquire(request(1))
    waiting = await queued(places, 1)
    assert not waiting.done()
    assert (await places.acquire(request(2))).request.session == 2
    places.release(first, reusable=True)
    assert (await waiting).request.session == 1
    places.clear()


async def test_a_session_begins_one_more_when_its_runs_take_long():
    now = [0.0]
    places = places_of(now, burst_s=0.01)
    for _ in range(2):
        await places.acquire(request(1))
    waiting = await queued(places, 1)
    assert not waiting.done()
    now[0] = 0.01
    async with asyncio.timeout(5):
        assert (await waiting).request.session == 1


async def test_a_language_without_a_number_begins_as_many_as_come():
    places = places_of([0.0], burst_s=LONG_S)
    for _ in range(3):
        await places.acquire(request(1, Language.NODEJS))


async def test_each_run_that_is_over_lets_one_of_its_session_begin():
    places = places_of([0.0], burst_s=LONG_S)
    running = [await places.acquire(request(session)) for session in (1, 1, 2, 2)]
    waiting = [await queued(places, session) for session in (2, 1, 2, 1)]
    begun = []
    for place in running:
        places.release(place, reusable=True)
        await asyncio.sleep(0)
        begun.append([number for number, each in enumerate(waiting) if each.done()])
    assert begun == [[1], [1, 3], [0, 1, 3], [0, 1, 2, 3]]
    places.clear()
