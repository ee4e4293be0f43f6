"""The gateway retries failed attempts if that is safe, and reports the others."""

import time

import pytest
from psycopg import errors

from adapters.postgres.buckets.pool import BucketGateway
from adapters.postgres.connections.errors import (
    CUT,
    NO_CONNECTION,
    AttemptFailed,
    StatementRefused,
    StillLocked,
    TookTooLong,
    judge,
)
from adapters.postgres.connections.statement import BoundStatement, Statement
from adapters.postgres.gateway import Gateway, GatewayOptions
from domain.errors import Overloaded, ShuttingDown, StorageUnavailable

READ = Statement("select_something", "SELECT 1")
WRITE = Statement("insert_something", "INSERT INTO something VALUES (1)")
LOST = judge(errors.AdminShutdown())
ROLLED_BACK = judge(errors.SerializationFailure())
LOCKED = judge(errors.LockNotAvailable())
REFUSED = judge(errors.UniqueViolation())


class ManualPool:
    """Gives each attempt the next outcome: rows, or an error to raise."""

    def __init__(self, outcomes):
        self.outcomes = list(outcomes)
        self.drops = 0
        self.made = 0
        self.fences = []
        self.before = []
        self.copies = []

    def make(self, _name, _size, _options, _observe, on_server_left):
        """Return this pool in place of each pool of a gateway."""
        self.made += 1
        self.on_server_left = on_server_left
        return self

    async def attempt(self, statement, parameters, until_s, fence, before):
        self.fences.append(fence)
        self.before.append(before)
        self.copies.append(parameters.get("copy"))
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def drop_idle(self):
        self.drops += 1


def gateway(*outcomes, **options):
    pool = ManualPool(outcomes)
    return Gateway(GatewayOptions("dbname=x", **options), make_pool=pool.make), pool


def failed(*decisions):
    return [AttemptFailed(decision) for decision in decisions]


async def outcome_of(statement, *outcomes, **options):
    made, pool = gateway(*outcomes, attempts_max=3)  # few, as each is followed by a pause
    with pytest.raises((StorageUnavailable, Overloaded, ShuttingDown, StatementRefused)) as caught:
        await made.fetch(statement, {}, **options)
    return caught.value, len(pool.outcomes)


async def test_a_later_attempt_may_succeed():
    made, _ = gateway(*failed(LOST, ROLLED_BACK), [(1,)])
    assert await made.fetch(WRITE, {}) == [(1,)]


async def test_a_fence_stands_before_attempts_of_which_an_earlier_one_may_still_run():
    made, pool = gateway(*failed(ROLLED_BACK, LOST, ROLLED_BACK), [])
    await made.fetch(WRITE, {}, fence=[READ])
    assert pool.fences == [(), (), [READ], [READ]]


async def test_what_stands_before_a_statement_is_sent_with_each_attempt():
    made, pool = gateway(*failed(LOST, ROLLED_BACK), [])
    await made.fetch(WRITE, {}, before=[BoundStatement(READ, {})])
    assert pool.before == [[BoundStatement(READ, {})]] * 3


async def test_copies_of_a_statement_with_a_fence_have_increasing_numbers_beyond_one_call():
    made, pool = gateway(*failed(ROLLED_BACK, LOST), [], [], [])
    await made.fetch(WRITE, {}, fence=[READ])
    await made.fetch(WRITE, {})
    await made.fetch(WRITE, {}, fence=[READ])
    assert pool.copies == [1, 2, 3, None, 4]


async def test_attempts_end_at_their_number():
    error, left = await outcome_of(READ, *failed(*[ROLLED_BACK] * 9))
    assert isinstance(error, StorageUnavailable)
    assert left == 6


async def test_an_attempt_that_could_not_end_in_time_is_not_made():
    _, left = await outcome_of(READ, *failed(CUT, CUT), timeout_s=0.5)
    assert left == 1


async def test_a_statement_that_is_not_repeatable_is_tried_once():
    _, left = await outcome_of(READ, *failed(ROLLED_BACK, ROLLED_BACK), repeatable=False)
    assert left == 1


@pytest.mark.parametrize("timed_out", [errors.LockNotAvailable(), errors.QueryCanceled()])
async def test_a_lock_wait_on_its_own_pool_is_not_retried(timed_out):
    error, left = await outcome_of(WRITE, *failed(judge(timed_out)), [(1,)], pool="lock_wait")
    assert isinstance(error, StillLocked)
    assert (error.stored, left) == ("no", 1)


async def test_a_lock_wait_is_retried_on_the_normal_pool_or_after_an_attempt_that_may_be_stored():
    for decisions, pool in (((LOST, LOCKED), "lock_wait"), ((LOCKED,), "normal")):
        made, _ = gateway(*failed(*decisions), [(1,)])
        assert await made.fetch(WRITE, {}, pool=pool) == [(1,)]


def too_long():
    failure = AttemptFailed(judge(errors.QueryCanceled()))
    failure.__cause__ = errors.QueryCanceled()
    return failure


async def test_a_slow_statement_of_several_parts_is_not_retried_as_a_whole():
    error, left = await outcome_of(READ, too_long(), [(1,)], parts=2)
    assert isinstance(error, TookTooLong)
    assert left == 1


async def test_a_slow_statement_is_retried_if_it_has_one_part_or_may_be_stored():
    for outcomes, parts in (([too_long()], 1), ([*failed(LOST), too_long()], 2)):
        made, _ = gateway(*outcomes, [(1,)])
        assert await made.fetch(WRITE, {}, parts=parts) == [(1,)]


@pytest.mark.parametrize(
    ("decisions", "stored"),
    [
        ([NO_CONNECTION], "no"),
        ([ROLLED_BACK], "no"),
        ([LOST], "unknown"),
        ([CUT], "unknown"),
        ([LOST, ROLLED_BACK], "unknown"),
        ([LOST, NO_CONNECTION], "unknown"),
    ],
)
async def test_a_write_is_unknown_after_any_attempt_that_may_have_reached_the_server(decisions, stored):
    error, _ = await outcome_of(WRITE, *failed(*decisions, *[NO_CONNECTION] * 9))
    assert error.stored == stored
    assert (error.retry_after_ms is None) == (stored == "unknown")


async def test_a_failed_read_says_nothing_about_storage():
    error, _ = await outcome_of(READ, *failed(*[LOST] * 9))
    assert error.stored is None


@pytest.mark.parametrize("refusal", [Overloaded("the database"), ShuttingDown()])
async def test_a_refusal_after_a_lost_write_does_not_say_that_nothing_is_stored(refusal):
    error, _ = await outcome_of(WRITE, *failed(LOST), refusal)
    assert isinstance(error, StorageUnavailable)
    assert error.stored == "unknown"
    assert error.__cause__ is refusal


@pytest.mark.parametrize("refusal", [Overloaded("the database"), ShuttingDown()])
async def test_a_refusal_is_raised_if_nothing_was_sent(refusal):
    error, _ = await outcome_of(WRITE, *failed(NO_CONNECTION), refusal)
    assert error is refusal
    error, _ = await outcome_of(READ, *failed(LOST), refusal)
    assert error is refusal


async def test_a_refused_value_is_not_retried():
    error, left = await outcome_of(WRITE, *failed(REFUSED, REFUSED))
    assert isinstance(error, StatementRefused)
    assert left == 1


async def test_statements_that_find_a_server_gone_together_drop_its_connections_once():
    _, pool = gateway()
    started_s = time.monotonic()
    for _ in range(5):
        await pool.on_server_left(started_s)
    assert pool.drops == pool.made == 2


async def test_a_server_that_is_gone_again_later_is_left_again():
    _, pool = gateway()
    await pool.on_server_left(time.monotonic())
    await pool.on_server_left(time.monotonic() + 1.1)
    assert pool.drops == 2 * pool.made


async def test_a_bucket_is_away_if_its_node_does_not_respond_and_not_for_a_lock():
    pool = ManualPool([*failed(LOCKED), *failed(NO_CONNECTION), []])
    bucket = BucketGateway(3, GatewayOptions("dbname=x", attempts_max=1), None, pool.make)
    with pytest.raises(StillLocked) as locked:
        await bucket.fetch(WRITE, {}, pool="lock_wait")
    assert (locked.value.bucket, bucket.is_away) == (3, False)
    with pytest.raises(StorageUnavailable):
        await bucket.fetch(WRITE, {})
    assert bucket.is_away
    await bucket.fetch(WRITE, {})
    assert not bucket.is_away
