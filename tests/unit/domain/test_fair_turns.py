"""Owners get turns in rotation, and the number of turns may change."""

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
    """Callers that hold their turns until the test ends them."""

    def __init__(self, turns: FairTurns) -> None:
        self.turns = turns
        self.holding: list[Owner] = []

    def start(self, owner: Owner, sizes: int = 0) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(self._acquire(owner, sizes * SIZE_MIN))

    async def end(self, owner: Owner) -> None:
        self.holding.remove(owner)
        self.turns.release(owner)
        await settle()

    async def _acquire(self, owner: Owner, size: int) -> None:
        await self.turns.acquire(owner, size)
        self.holding.append(owner)


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_owners_get_turns_in_rotation_whatever_number_each_waits_for():
    callers = Callers(turns_of())
    for owner in (ALICE, ALICE, ALICE, BOB, CAROL, BOB):
        callers.start(owner)
    await settle()
    served = []
    while callers.holding:
        served += callers.holding
        await callers.end(callers.holding[0])
    assert served == [ALICE, ALICE, BOB, CAROL, ALICE, BOB]


async def test_more_turns_go_to_callers_that_wait():
    callers = Callers(turns_of(owner_max=9))
    for owner in (ALICE, BOB, CAROL):
        callers.start(owner)
    await settle()
    callers.turns.resize(2)
    await settle()
    assert callers.holding == [ALICE, BOB]


async def test_fewer_turns_leave_those_that_are_out_and_give_none_until_there_are_so_few():
    callers = Callers(turns_of(turns_max=2, owner_max=9))
    for owner in (ALICE, BOB, CAROL):
        callers.start(owner)
    await settle()
    callers.turns.resize(1)
    assert callers.holding == [ALICE, BOB]
    await callers.end(ALICE)
    assert callers.holding == [BOB]
    await callers.end(BOB)
    assert callers.holding == [CAROL]


async def test_an_owner_at_its_limit_does_not_delay_others():
    callers = Callers(turns_of(turns_max=2))
    for owner in (ALICE, ALICE, BOB, CAROL):
        callers.start(owner)
    await settle()
    assert callers.holding == [ALICE, BOB]
    await callers.end(BOB)
    assert callers.holding == [ALICE, CAROL]
    await callers.end(CAROL)
    assert callers.holding == [ALICE]
    await callers.end(ALICE)
    assert callers.holding == [ALICE]


async def test_a_cancelled_caller_gets_no_turn():
    callers = Callers(turns_of())
    _, second, _ = callers.start(ALICE), callers.start(ALICE), callers.start(BOB)
    await settle()
    second.cancel()
    await settle()
    assert callers.turns.waiting == 1
    await callers.end(ALICE)
    assert callers.holding == [BOB]


@pytest.mark.parametrize("given_first", [True, False])
async def test_a_turn_for_a_cancelled_caller_goes_to_the_next_one(given_first):
    callers = Callers(turns_of())
    _, second, _ = callers.start(ALICE), callers.start(BOB), callers.start(CAROL)
    await settle()
    callers.holding.remove(ALICE)
    if given_first:
        callers.turns.release(ALICE)
        second.cancel()
    else:
        second.cancel()
        callers.turns.release(ALICE)
    await settle()
    assert callers.holding == [CAROL]


async def test_callers_beyond_the_byte_limit_are_refused_until_others_leave():
    callers = Callers(turns_of(sizes_max=10))
    callers.start(ANONYMOUS, sizes=10)
    waiting = [callers.start(ANONYMOUS, sizes=5) for _ in range(2)]
    await settle()
    with pytest.raises(Overloaded):
        await callers.turns.acquire(ANONYMOUS, 0)
    waiting[0].cancel()
    await settle()
    callers.start(ANONYMOUS, sizes=7)
    await settle()
    assert callers.turns.waiting == 2


async def test_an_owner_may_hold_a_fair_share_of_the_waiting_bytes():
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
async def test_no_turn_is_free_while_a_caller_that_may_have_it_waits(steps):
    callers = Callers(turns_of(turns_max=3, owner_max=2, sizes_max=10_000))
    waiting: list[tuple[Owner, asyncio.Task[None]]] = []
    for step, owner, index in steps:
        if step == "t":
            waiting.append((owner, callers.start(owner)))
        elif step == "e" and owner in callers.holding:
            await callers.end(owner)
        elif step == "c" and waiting:
            waiting[index % len(waiting)][1].cancel()
        await settle()
        waiting = [(each, task) for each, task in waiting if not task.done()]
        holding = Counter(callers.holding)
        assert holding.total() <= 3
        assert max(holding.values(), default=0) <= 2
        assert callers.turns.waiting == len(waiting)
        if holding.total() < 3:
            assert all(holding[each] == 2 for each, _ in waiting)
