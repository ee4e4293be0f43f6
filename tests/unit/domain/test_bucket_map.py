"""Each id has one bucket, whatever controller asks; each text has one at an instant."""

import uuid
from collections import Counter
from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.buckets.bucket_map import (
    HOME,
    NUMBER_MAX,
    SETTLING,
    SPREAD_MAX,
    Bucket,
    BucketMap,
    BucketsChange,
    OwnerMove,
    in_bucket,
)
from domain.buckets.pages import continued, merged, part_of
from domain.idempotency import KEPT_FOR
from domain.identity import ANONYMOUS, EVERY_OWNER, MAX_ID, NO_ID, Owner, uuid7_at
from domain.paging import Page
from tests.foreign_ids import TAKEN
from tests.unit.domain.builders import START

MOMENT = timedelta(microseconds=1)
PAUSE = timedelta(seconds=4)
FOUR = BucketMap([Bucket(number, START) for number in (1, 2, 3, 4)])
RAISED_AT = START + timedelta(days=10)
EIGHT = BucketMap([*FOUR.buckets, *(Bucket(number, RAISED_AT) for number in (5, 6, 7, 8))])
SINCE = RAISED_AT + SETTLING
MANY = BucketMap([Bucket(number, START) for number in range(1, 60)])
TEXTS = [f"text {n}" for n in range(200)]
OWNER = ANONYMOUS
"""Its buckets are all there are."""


def own(at: datetime, number: int) -> uuid.UUID:
    return in_bucket(uuid7_at(at, 77 << 8), number)


def test_a_plain_database_has_all_ids_at_home():
    for identifier in (own(START, 0), own(START, 3), NO_ID, MAX_ID, uuid.uuid4()):
        assert BucketMap().of(identifier) == HOME
    assert BucketMap().numbers(START) == BucketMap().spread(Owner("a"), START) == (HOME,)
    assert (BucketMap().hashed("key", OWNER, START), BucketMap().all_numbers) == (HOME, (HOME,))


def test_foreign_ids_are_at_home_whatever_their_last_bits_are():
    random = Random(1)
    foreign = [uuid.UUID(int=random.getrandbits(128), version=random.choice([1, 3, 4, 5])) for _ in range(10_000)]
    assert {EIGHT.of(each) for each in [*foreign, *TAKEN, NO_ID, MAX_ID]} == {HOME}


def test_ids_from_before_an_instant_are_at_home_with_any_last_bits():
    for number in range(NUMBER_MAX + 1):
        assert EIGHT.of(own(START - MOMENT, number)) == HOME
        assert EIGHT.of(own(START, number)) == (number if 1 <= number <= 4 else HOME)
        assert EIGHT.of(own(RAISED_AT - MOMENT, number)) == (number if 1 <= number <= 4 else HOME)
        assert EIGHT.of(own(RAISED_AT, number)) == (number if 1 <= number <= 8 else HOME)


@given(
    made_after=st.timedeltas(SETTLING * -2, SETTLING * 2),
    ahead=st.timedeltas(-SETTLING, SETTLING),
    owner=st.sampled_from(["alice", "bob", ANONYMOUS]),
)
def test_an_execution_has_the_bucket_of_its_session_though_clocks_differ(made_after, ahead, owner):
    made_at = RAISED_AT + SETTLING + made_after
    for number in EIGHT.spread(Owner(owner), made_at):
        session_id = own(made_at, number)
        assert EIGHT.of(session_id) == number
        # Another controller, whose clock may be behind, begins an execution at once.
        assert EIGHT.of(own(made_at + ahead, EIGHT.of(session_id))) == number


def test_new_sessions_get_a_bucket_once_every_clock_has_passed_its_instant():
    assert FOUR.numbers(START + SETTLING - MOMENT) == (HOME,)
    assert FOUR.numbers(START + SETTLING) == (1, 2, 3, 4)
    assert EIGHT.numbers(SINCE - MOMENT) == (1, 2, 3, 4)
    assert EIGHT.numbers(SINCE) == tuple(range(1, 9))
    assert EIGHT.all_numbers == tuple(range(9))


def test_an_owner_has_a_few_buckets_and_all_owners_have_all():
    spreads = {name: EIGHT.spread(Owner(name), SINCE) for name in TEXTS}
    assert {len(set(each)) for each in spreads.values()} == {SPREAD_MAX}
    assert {number for each in spreads.values() for number in each} == set(range(1, 9))
    assert EIGHT.spread(ANONYMOUS, SINCE) == EIGHT.numbers(SINCE)


def test_all_that_an_owner_has_lies_in_the_few_buckets_of_each_epoch_and_at_home():
    owners = [Owner(name) for name in TEXTS]
    for owner in owners:
        spreads = {*EIGHT.spread(owner, SINCE - MOMENT), *EIGHT.spread(owner, SINCE)}
        assert set(EIGHT.all_of(owner)) == spreads | {HOME}
        for text in TEXTS[:20]:
            assert EIGHT.hashed(text, owner, SINCE) in EIGHT.spread(owner, SINCE)
            assert set(EIGHT.candidates(text, owner, SINCE)) <= set(EIGHT.all_of(owner))
    assert {len(EIGHT.all_of(owner)) for owner in owners} >= {SPREAD_MAX + 1, SPREAD_MAX + 3}
    assert EIGHT.all_of(ANONYMOUS) == EIGHT.all_of(EVERY_OWNER) == EIGHT.all_numbers
    assert BucketMap().all_of(Owner("a")) == (HOME,)


def test_what_was_moved_is_looked_for_where_each_former_owner_had_it():
    a, b, c, d = (Owner(name) for name in "abcd")
    moved = BucketMap(MANY.buckets, [OwnerMove(a, b, START), OwnerMove(b, c, START), OwnerMove(c, a, START)])
    for text in TEXTS:
        looked = moved.candidates(text, c, SINCE)
        assert looked[0] == MANY.hashed(text, c, SINCE)
        assert set(looked) == {MANY.hashed(text, name, at) for name in (a, b, c) for at in (SINCE, START)}
    assert set(moved.all_of(c)) == {*MANY.all_of(a), *MANY.all_of(b), *MANY.all_of(c)}
    assert moved.all_of(d) == MANY.all_of(d)
    assert (moved.heirs(a), moved.heirs(d)) == ({a, b, c}, {d})


def test_owners_are_alike_if_they_and_their_former_owners_have_the_same_buckets_in_each_epoch():
    a, b = Owner("a"), Owner("b")
    assert FOUR.are_alike(a, b)
    assert not MANY.are_alike(a, b)
    raised = BucketMap([*FOUR.buckets, *(Bucket(number, RAISED_AT) for number in range(5, 40))])
    assert not raised.are_alike(a, b)
    assert MANY.are_alike(a, a)
    assert not BucketMap(MANY.buckets, [OwnerMove(b, a, START)]).are_alike(a, a)


def test_further_buckets_move_only_what_they_get():
    before, after = ({text: EIGHT.hashed(text, OWNER, at) for text in TEXTS} for at in (SINCE - MOMENT, SINCE))
    moved = {text for text in TEXTS if before[text] != after[text]}
    assert 60 < len(moved) < 140
    assert {after[text] for text in moved} == {5, 6, 7, 8}


def test_a_text_is_looked_up_where_it_is_made_now_and_where_it_was_made_before():
    for text in TEXTS:
        candidates = EIGHT.candidates(text, OWNER, SINCE)
        assert candidates[0] == EIGHT.hashed(text, OWNER, SINCE)
        assert set(candidates) == {EIGHT.hashed(text, OWNER, at) for at in (SINCE, SINCE - MOMENT, START)}
        assert EIGHT.candidates(text, OWNER, SINCE + KEPT_FOR, KEPT_FOR) == tuple(dict.fromkeys(candidates[:-1]))
        assert EIGHT.candidates(text, OWNER, SINCE + KEPT_FOR + SETTLING, KEPT_FOR) == candidates[:1]


def test_a_text_is_not_looked_up_in_buckets_that_have_only_been_announced():
    assert {EIGHT.candidates(text, OWNER, START) for text in TEXTS} == {(HOME,)}


def test_a_text_pauses_until_the_last_of_several_raises_is_over():
    later = timedelta(seconds=1)
    twice = BucketMap([*EIGHT.buckets, *(Bucket(number, RAISED_AT + later) for number in range(9, 40))])
    before, now = SINCE - MOMENT, SINCE + later
    moved = next(text for text in TEXTS if twice.hashed(text, OWNER, before) != twice.hashed(text, OWNER, now))
    with pytest.raises(BucketsChange) as caught:
        twice.require_settled(moved, OWNER, now, PAUSE)
    assert caught.value.details["retry_after_ms"] == 9000


def test_a_text_that_gets_another_bucket_pauses_until_no_call_of_before_can_store_it():
    (moved, *_), (stays, *_) = ([t for t in TEXTS if len(EIGHT.candidates(t, OWNER, SINCE)) == n] for n in (3, 2))
    for at in (SINCE - MOMENT, SINCE + PAUSE + SETTLING):
        EIGHT.require_settled(moved, OWNER, at, PAUSE)
    for at, left_ms in ((SINCE, 9000), (SINCE + PAUSE + SETTLING - MOMENT, 1)):
        EIGHT.require_settled(stays, OWNER, at, PAUSE)
        with pytest.raises(BucketsChange) as caught:
            EIGHT.require_settled(moved, OWNER, at, PAUSE)
        assert caught.value.details == {"stored": "no", "executed": "no", "retry_after_ms": left_ms}
        assert "Repeat the call" in str(caught.value)


@given(
    rows=st.lists(st.lists(st.integers(1, 60), unique=True, max_size=12), min_size=1, max_size=4),
    size=st.integers(1, 5),
    examined=st.integers(1, 4),
)
def test_pages_of_buckets_show_each_row_once_and_in_order(rows, size, examined):
    """A row is a number, of which the bucket is a part of the id; a bucket shows even numbers only, of those examined."""
    buckets = [sorted((uuid.UUID(int=n << 8 | b) for n in each), reverse=True) for b, each in enumerate(rows)]

    def page_of(bucket: list[uuid.UUID], after: uuid.UUID | None) -> Page[uuid.UUID]:
        older = [each for each in bucket if after is None or each < after]
        shown = [each for each in older[: max(size, examined)] if not each.int >> 8 & 1][:size]
        if len(shown) == size:
            return Page(shown, shown[-1] if older[-1] < shown[-1] else None)
        is_last = len(older) <= max(size, examined)
        return Page(shown, None if is_last else older[max(size, examined) - 1])

    found: list[uuid.UUID] = []
    after = None
    for _ in range(100):
        page = merged((page_of(bucket, after) for bucket in buckets), size, lambda each: each)
        assert len(page.items) <= size
        found += page.items
        after = page.next_after
        if after is None:
            break
    assert found == sorted((each for bucket in buckets for each in bucket if not each.int >> 8 & 1), reverse=True)


def test_a_part_of_a_page_covers_what_chance_gives_one_bucket_mostly_and_is_never_more_than_the_page():
    random = Random(3)
    for size, buckets in ((50, 4), (200, 4), (50, 64), (3, 4), (1, 4)):
        part = part_of(size, buckets)
        assert size / buckets < part <= size
        drawn = [Counter(random.choices(range(buckets), k=size)) for _ in range(300)]
        assert sum(max(counts.values()) > part for counts in drawn) < 30
    assert part_of(50, 1) == part_of(50, 0) == 50


def test_two_pages_that_follow_each_other_are_one():
    newest, older, oldest = (uuid.UUID(int=n) for n in (3, 2, 1))
    assert continued(Page([newest, older], older), Page([oldest], None)) == Page([newest, older, oldest], None)
