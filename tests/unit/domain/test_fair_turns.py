"""Turns go to owners in turn, so many at once, and none is lost or made."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.concurrency.fair_turns import SIZE_MIN, FairTurns
from domain.errors import Overloaded
from domain.identity import ANONYMOUS, Owner

ALICE, BOB, CAROL = Owner("alice"), Owner("bob"), Owner("carol")


def turns_of(turns_max=1, owner_max=1, sizes_max=1000):
    return FairTurns("the test", turns_max, owner_max, sizes_max * SIZE_MIN)


class Callers:
    """Callers that keep their turns until the test ends them."""

    def __init__(self, turns: FairTurns) -> None:
        self.turns = turns
        self.inside: list[Owner] = []

    def start(self, owner: Owner, sizes: int = 0) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(self._take(owner, sizes * SIZE_MIN))

    async def end(self, owner: Owner) -> None:
        self.inside.remove(owner)
        self.turns.give_back(owner)
        await settle()

    async def _take(self, owner: Owner, size: int) -> None:
        await self.turns.take(owner, size)
        self.inside.append(owner)


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_owners_get_turns_in_turn_whatever_each_has_waiting():
    callers = Callers(turns_of())
    for owner in (ALICE, ALICE, ALICE, BOB, CAROL, BOB):
        callers.start(owner)
    await settle()
    served = []
    while callers.inside:
        served += callers.inside
        await callers.end(callers.inside[0])
    assert served == [ALICE, ALICE, BOB, CAROL, ALICE, BOB]


async def test_an_owner_who_has_all_their_turns_holds_up_nobody():
    callers = Callers(turns_of(turns_max=2))
    for owner in (ALICE, ALICE, BOB, CAROL):
        callers.start(owner)
    await settle()
    assert callers.inside == [ALICE, BOB]
    await callers.end(BOB)
    assert callers.inside == [ALICE, CAROL]
    await callers.end(CAROL)
    assert callers.inside == [ALICE]
    await callers.end(ALICE)
    assert callers.inside == [ALICE]


async def test_a_caller_that_leaves_is_passed_over():
    callers = Callers(turns_of())
    _, second, _ = callers.start(ALICE), callers.start(ALICE), callers.start(BOB)
    await settle()
    second.cancel()
    await settle()
    assert callers.turns.waiting == 1
    await callers.end(ALICE)
    assert callers.inside == [BOB]


@pytest.mark.parametrize("given_first", [True, False])
async def test_a_turn_that_meets_a_caller_on_its_way_out_is_passed_on(given_first):
    callers = Callers(turns_of())
    _, second, _ = callers.start(ALICE), callers.start(BOB), callers.start(CAROL)
    await settle()
    callers.inside.remove(ALICE)
    if given_first:
        callers.turns.give_back(ALICE)
        second.cancel()
    else:
        second.cancel()
        callers.turns.give_back(ALICE)
    await settle()
    assert callers.inside == [CAROL]


async def test_more_bytes_than_the_bound_is_refused_and_what_left_makes_room():
    callers = Callers(turns_of(sizes_max=10))
    callers.start(ANONYMOUS, sizes=10)
    waiting = [callers.start(ANONYMOUS, sizes=5) for _ in range(2)]
    await settle()
    with pytest.raises(Overloaded):
        await callers.turns.take(ANONYMOUS, 0)
    waiting[0].cancel()
    await settle()
    callers.start(ANONYMOUS, sizes=7)
    await settle()
    assert callers.turns.waiting == 2


async def test_an_owner_may_hold_a_fair_share_of_the_bytes_and_leaves_room_for_others():
    callers = Callers(turns_of(sizes_max=100))
    callers.start(ALICE)
    await settle()
    refused = 0
    for _ in range(100):
        waiting = callers.start(ALICE, sizes=1)
        await settle()
        refused += waiting.done()
        if waiting.done():
            assert isinstance(waiting.exception(), Overloaded)
    assert refused == 20
    assert callers.turns.waiting == 80
    callers.start(BOB, sizes=1)
    await settle()
    assert callers.turns.waiting == 81


@given(st.lists(st.tuples(st.sampled_from("tec"), st.sampled_from([ALICE, BOB, CAROL]), st.integers(0, 50))))
async def test_every_turn_is_used_while_somebody_may_have_it(steps):
    callers = Callers(turns_of(turns_max=3, owner_max=2, sizes_max=10_000))
    waiting: list[tuple[Owner, asyncio.Task[None]]] = []
    for step, owner, index in steps:
        if step == "t":
            waiting.append((owner, callers.start(owner)))
        elif step == "e" and owner in callers.inside:
            await callers.end(owner)
        elif step == "c" and waiting:
            waiting[index % len(waiting)][1].cancel()
        await settle()
        waiting = [(each, task) for each, task in waiting if not task.done()]
        inside = Counter(callers.inside)
        assert inside.total() <= 3
        assert max(inside.values(), default=0) <= 2
        assert callers.turns.waiting == len(waiting)
        if inside.total() < 3:
            assert all(inside[each] == 2 for each, _ in waiting)
