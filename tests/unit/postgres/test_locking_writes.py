"""Writes to rows that another transaction has locked."""

import asyncio

import pytest

from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.batching.coalescer import CoalescerOptions
from adapters.postgres.batching.locking_writes import LockingWrites
from adapters.postgres.batching.statement import RowLocked
from adapters.postgres.connections.errors import StillLocked
from adapters.postgres.gateway import CALLER
from domain.errors import StorageUnavailable
from tests.unit.postgres.manual_gateway import PlainCalls


class Rows:
    """A gateway to rows of which some are locked; a lock wait for one of them is in vain."""

    def __init__(self, *locked):
        self.locked = set(locked)
        self.statements = []

    async def fetch(self, statement, parameters, *, pool, **_):
        calls = parameters["calls"]
        assert parameters["waits"] == (pool == "lock_wait")
        self.statements.append((pool, list(calls)))
        await asyncio.sleep(0)
        if pool == "normal":
            return [RowLocked() if call in self.locked else f"{call} written" for call in calls]
        if self.locked.intersection(calls):
            raise StillLocked(pause_s=0.0)
        return [f"{call} written" for call in calls]

    def on(self, pool):
        return [calls for used, calls in self.statements if used == pool]


class RowsUntilLockWait(Rows):
    """Rows whose locks are released when a statement waits for them."""

    async def fetch(self, statement, parameters, *, pool, **_):
        if pool == "lock_wait":
            self.locked.clear()
        return await super().fetch(statement, parameters, pool=pool)


def writes_to(rows):
    return LockingWrites(rows, PlainCalls("write"), CoalescerOptions(), exclusive=BatchKeys())


async def until(condition):
    while not condition():  # noqa: ASYNC110  # there is no event to await
        await asyncio.sleep(0)


async def test_an_unlocked_row_is_written_at_once():
    rows = Rows()
    assert await writes_to(rows).submit("a") == "a written"
    assert rows.statements == [("normal", ["a"])]


async def test_a_locked_row_is_written_by_the_statement_that_waits_for_the_lock():
    rows = RowsUntilLockWait("a")
    assert await writes_to(rows).submit("a") == "a written"
    assert [pool for pool, _ in rows.statements] == ["normal", "lock_wait"]


async def test_a_row_that_stays_locked_is_waited_for_once_then_polled_and_not_stored():
    rows = Rows("a")
    writes = writes_to(rows)
    with pytest.raises(StorageUnavailable) as caught:
        await writes.submit("a")
    assert caught.value.stored == "no"
    assert rows.on("lock_wait") == [["a"]]
    assert 1 < len(rows.on("normal")) < 50
    assert writes.polled_rows == 0


class Waiter:
    """Records the waits of one caller."""

    def __init__(self):
        self.names = []

    def waited(self, name, duration_s):
        self.names.append(name)


async def test_pauses_between_polls_are_reported_as_waits_of_the_caller():
    caller = Waiter()
    CALLER.set(caller)
    with pytest.raises(StorageUnavailable):
        await writes_to(Rows("a")).submit("a")
    CALLER.set(None)
    polls = caller.names.count("write") - 1
    assert caller.names.count("write_locked") == polls > 1


async def test_a_row_that_is_unlocked_later_is_written():
    rows = Rows("a")
    call = asyncio.ensure_future(writes_to(rows).submit("a"))
    await until(lambda: len(rows.on("normal")) == 3)
    rows.locked.clear()
    assert await call == "a written"


async def test_a_call_that_waited_in_vain_for_another_row_is_written_at_the_next_poll():
    rows = Rows("a", "b")
    writes = writes_to(rows)
    calls = [asyncio.ensure_future(writes.submit(call)) for call in ("a", "b")]
    await until(lambda: rows.on("lock_wait"))
    assert rows.on("lock_wait") == [["a", "b"]]
    rows.locked.discard("b")
    assert await calls[1] == "b written"
    assert not calls[0].done()
    with pytest.raises(StorageUnavailable):
        await calls[0]


async def test_no_statement_waits_for_a_row_that_is_polled():
    rows = Rows("a")
    writes = writes_to(rows)
    calls = [asyncio.ensure_future(writes.submit("a"))]
    await until(lambda: len(rows.on("normal")) == 3)
    calls.append(asyncio.ensure_future(writes.submit("a")))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable] * 2
    assert rows.on("lock_wait") == [["a"]]


async def test_a_cancelled_call_polls_no_more():
    rows = Rows("a")
    writes = writes_to(rows)
    call = asyncio.ensure_future(writes.submit("a"))
    await until(lambda: writes.polled_rows)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert writes.polled_rows == 0
