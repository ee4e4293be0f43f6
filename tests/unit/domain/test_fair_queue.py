"""A queue that serves owners in turn."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from domain.concurrency.fair_queue import FairQueue
from domain.identity import Owner

OWNERS = [Owner(name) for name in "abcd"]


def queue_of(*items: tuple[str, int]) -> FairQueue[tuple[str, int]]:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    for item in items:
        queue.add(Owner(item[0]), item)
    return queue


def test_owners_are_served_in_turn_and_each_in_order():
    queue = queue_of(("a", 1), ("a", 2), ("a", 3), ("b", 1), ("c", 1), ("b", 2))
    assert len(queue) == 6
    served = [queue.pop() for _ in range(6)]
    assert served == [("a", 1), ("b", 1), ("c", 1), ("a", 2), ("b", 2), ("a", 3)]
    assert not queue


def test_a_discarded_item_is_not_served():
    queue = queue_of(("a", 1), ("a", 2), ("b", 1))
    assert queue.discard(OWNERS[1], ("b", 1))
    assert not queue.discard(OWNERS[1], ("b", 1))
    assert queue.discard(OWNERS[0], ("a", 1))
    assert not queue.discard(OWNERS[0], ("a", 1))
    assert (queue.pop(), len(queue)) == (("a", 2), 0)


def test_an_item_that_is_put_back_is_the_next_of_its_owner():
    queue = queue_of(("a", 1), ("a", 2), ("b", 1))
    assert queue.first == ("a", 1)
    queue.put_back(OWNERS[0], queue.pop())
    assert queue.of(OWNERS[0]) == [("a", 1), ("a", 2)]
    assert [queue.pop() for _ in range(3)] == [("b", 1), ("a", 1), ("a", 2)]


def test_ahead_of_an_owner_are_as_many_items_of_each_other_as_it_has_itself():
    queue = queue_of(*(("a", n) for n in range(9)), ("b", 1), ("b", 2))
    assert [queue.ahead_of(owner) for owner in OWNERS[:3]] == [11, 6, 2]
    assert queue_of().ahead_of(OWNERS[0]) == 0


@given(st.lists(st.one_of(st.sampled_from(OWNERS), st.none()), max_size=200))
def test_no_owner_is_served_twice_before_every_other_waiting_owner(steps):
    queue: FairQueue[tuple[Owner, int]] = FairQueue()
    waiting: Counter[Owner] = Counter()
    passed_over: Counter[Owner] = Counter()
    number = 0
    for owner in steps:
        if owner is not None:
            number += 1
            queue.add(owner, (owner, number))
            waiting[owner] += 1
        elif queue:
            served = queue.pop()[0]
            waiting[served] -= 1
            passed_over[served] = 0
            for other in OWNERS:
                if other != served and waiting[other]:
                    passed_over[other] += 1
                    assert passed_over[other] < len(OWNERS)
        assert len(queue) == sum(waiting.values())
