"""What the gateway makes of failed attempts."""

import time

import pytest
from psycopg import errors

from adapters.postgres.connections.errors import CUT, NO_CONNECTION, StatementRefused, StillLocked, TookTooLong, judge
from adapters.postgres.connections.statement_pool import AttemptFailed
from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.statement import Statement
from domain.errors import Overloaded, ShuttingDown, StorageUnavailable

READ = Statement("select_something", "SELECT 1")
WRITE = Statement("insert_something", "INSERT INTO something VALUES (1)")
LOST = judge(errors.AdminShutdown())
ROLLED_BACK = judge(errors.SerializationFailure())
LOCKED = judge(errors.LockNotAvailable())
REFUSED = judge(errors.UniqueViolation())


class ManualLane:
    """Gives each attempt the next outcome: rows, or what is to be raised."""

    def __init__(self, outcomes):
        self.outcomes = list(outcomes)
        self.drops = 0

    async def attempt(self, statement, parameters, until_s):
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def drop_idle(self):
        self.drops += 1


def gateway(*outcomes, **options):
    made = Gateway(GatewayOptions("dbname=x", **options))
    lane = ManualLane(outcomes)
    made._lanes = {"main": lane, "waiting": lane}
    return made, lane


def failed(*verdicts):
    return [AttemptFailed(verdict) for verdict in verdicts]


async def outcome_of(statement, *outcomes, **options):
    made, lane = gateway(*outcomes, attempts_max=3)  # few, as each is followed by a pause
    with pytest.raises((StorageUnavailable, Overloaded, ShuttingDown, StatementRefused)) as caught:
        await made.fetch(statement, {}, **options)
    return caught.value, len(lane.outcomes)


async def test_a_later_attempt_may_succeed():
    made, _ = gateway(*failed(LOST, ROLLED_BACK), [(1,)])
    assert await made.fetch(WRITE, {}) == [(1,)]


async def test_attempts_end_at_their_number():
    error, left = await outcome_of(READ, *failed(*[ROLLED_BACK] * 9))
    assert isinstance(error, StorageUnavailable)
    assert left == 6


async def test_there_is_no_attempt_that_could_not_end_in_time():
    _, left = await outcome_of(READ, *failed(CUT, CUT), timeout_s=0.5)
    assert left == 1


async def test_what_is_not_repeatable_is_tried_once():
    _, left = await outcome_of(READ, *failed(ROLLED_BACK, ROLLED_BACK), repeatable=False)
    assert left == 1


@pytest.mark.parametrize("timed_out", [errors.LockNotAvailable(), errors.QueryCanceled()])
async def test_a_wait_for_locks_on_the_lane_for_it_is_not_repeated(timed_out):
    error, left = await outcome_of(WRITE, *failed(judge(timed_out)), [(1,)], lane="waiting")
    assert isinstance(error, StillLocked)
    assert (error.stored, left) == ("no", 1)


async def test_a_wait_for_locks_is_repeated_where_an_earlier_statement_may_be_stored_or_nobody_else_waits():
    for verdicts, lane in (((LOST, LOCKED), "waiting"), ((LOCKED,), "main")):
        made, _ = gateway(*failed(*verdicts), [(1,)])
        assert await made.fetch(WRITE, {}, lane=lane) == [(1,)]


def too_long():
    failure = AttemptFailed(judge(errors.QueryCanceled()))
    failure.__cause__ = errors.QueryCanceled()
    return failure


async def test_what_takes_too_long_is_not_repeated_as_it_is_where_it_can_be_done_in_parts():
    error, left = await outcome_of(READ, too_long(), [(1,)], parts=2)
    assert isinstance(error, TookTooLong)
    assert left == 1


async def test_what_takes_too_long_is_repeated_where_it_has_no_parts_or_may_be_stored():
    for outcomes, parts in (([too_long()], 1), ([*failed(LOST), too_long()], 2)):
        made, _ = gateway(*outcomes, [(1,)])
        assert await made.fetch(WRITE, {}, parts=parts) == [(1,)]


@pytest.mark.parametrize(
    ("verdicts", "stored"),
    [
        ([NO_CONNECTION], "no"),
        ([ROLLED_BACK], "no"),
        ([LOST], "unknown"),
        ([CUT], "unknown"),
        ([LOST, ROLLED_BACK], "unknown"),
        ([LOST, NO_CONNECTION], "unknown"),
    ],
)
async def test_a_write_is_unknown_once_any_attempt_may_have_reached_the_server(verdicts, stored):
    error, _ = await outcome_of(WRITE, *failed(*verdicts, *[NO_CONNECTION] * 9))
    assert error.stored == stored
    assert (error.retry_after_ms is None) == (stored == "unknown")


async def test_a_read_has_nothing_stored():
    error, _ = await outcome_of(READ, *failed(*[LOST] * 9))
    assert error.stored is None


@pytest.mark.parametrize("refusal", [Overloaded("the database"), ShuttingDown()])
async def test_a_refusal_after_a_lost_write_does_not_say_that_nothing_is_stored(refusal):
    error, _ = await outcome_of(WRITE, *failed(LOST), refusal)
    assert isinstance(error, StorageUnavailable)
    assert error.stored == "unknown"
    assert error.__cause__ is refusal


@pytest.mark.parametrize("refusal", [Overloaded("the database"), ShuttingDown()])
async def test_a_refusal_is_passed_on_where_nothing_was_sent(refusal):
    error, _ = await outcome_of(WRITE, *failed(NO_CONNECTION), refusal)
    assert error is refusal
    error, _ = await outcome_of(READ, *failed(LOST), refusal)
    assert error is refusal


async def test_a_refused_value_is_not_tried_again():
    error, left = await outcome_of(WRITE, *failed(REFUSED, REFUSED))
    assert isinstance(error, StatementRefused)
    assert left == 1


async def test_statements_that_find_a_server_gone_together_drop_its_connections_once():
    made, lane = gateway()
    started_s = time.monotonic()
    for _ in range(5):
        await made._leave(started_s)
    assert lane.drops == len(made._lanes)


async def test_a_server_that_is_gone_again_later_is_left_again():
    made, lane = gateway()
    await made._leave(time.monotonic())
    await made._leave(time.monotonic() + 1.1)
    assert lane.drops == 2 * len(made._lanes)
