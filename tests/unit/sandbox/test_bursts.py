"""Only so many executions are in their first moments at once; those that take longer hold up nobody."""

import asyncio
from uuid import UUID

from adapters.sandbox.scheduling.bursts import Bursts
from adapters.sandbox.scheduling.place import Kind, PlaceLimits, PlaceRequest
from adapters.sandbox.scheduling.places import Places
from domain.language import Language

LONG_S = 60.0


def test_nobody_begins_while_as_many_have_just_begun():
    bursts = Bursts(2, burst_s=1.0)
    bursts.begin("a", 10.0)
    assert bursts.full_for_s(10.2) == 0
    bursts.begin("b", 10.2)
    assert bursts.full_for_s(10.5) == 0.5
    bursts.end("b")
    assert bursts.full_for_s(10.5) == 0


def test_who_has_begun_long_ago_counts_no_more():
    bursts = Bursts(1, burst_s=1.0)
    bursts.begin("a", 10.0)
    assert bursts.full_for_s(11.0) == 0
    bursts.begin("b", 11.0)
    bursts.end("a")
    assert bursts.full_for_s(11.5) == 0.5


def test_without_a_limit_everybody_begins():
    bursts = Bursts(None, burst_s=1.0)
    for each in range(1000):
        bursts.begin(each, 0.0)
    assert bursts.full_for_s(0.0) == 0


def places_of(now, **limits):
    return Places(PlaceLimits(9, 9, 9, 5.0, bursts_max=1, **limits), now=lambda: now[0])


def request(session):
    return PlaceRequest(UUID(int=session), Kind(Language.PYTHON, 128), keeps=True)


async def queued(places, session):
    task = asyncio.ensure_future(places.acquire(request(session)))
    await asyncio.sleep(0)
    return task


async def test_a_call_begins_when_another_run_is_over():
    places = places_of([0.0], burst_s=LONG_S)
    place = await places.acquire(request(1))
    waiting = await queued(places, 2)
    assert not waiting.done()
    places.release(place, reusable=True)
    assert (await waiting).request.session == UUID(int=2)
    places.clear()


async def test_a_call_begins_when_another_run_takes_long():
    now = [0.0]
    places = places_of(now, burst_s=0.01)
    await places.acquire(request(1))
    waiting = await queued(places, 2)
    assert not waiting.done()
    now[0] = 0.01
    async with asyncio.timeout(5):
        assert (await waiting).request.session == UUID(int=2)


async def test_who_waits_to_begin_is_not_overtaken():
    now = [0.0]
    places = places_of(now, burst_s=LONG_S)
    await places.acquire(request(1))
    first = await queued(places, 2)
    now[0] = LONG_S
    late = await queued(places, 3)
    assert (await first).request.session == UUID(int=2)
    assert not late.done()
    places.clear()
    await asyncio.wait([late])
    assert late.exception() is not None
