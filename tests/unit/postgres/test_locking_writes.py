"""Writes whose rows somebody else has locked."""

import asyncio

import pytest

from adapters.postgres.batching.batch_keys import BatchKeys
from adapters.postgres.batching.coalescer import CoalescerOptions
from adapters.postgres.batching.locking_writes import SKIPPED, LockingWrites
from adapters.postgres.connections.errors import StillLocked
from adapters.postgres.connections.observer import CALLER
from domain.errors import StorageUnavailable


class Rows:
    """Rows of which some are locked by somebody else; a statement that waits for one of them waits in vain."""

    def __init__(self, *locked):
        self.locked = set(locked)
        self.statements = []

    async def send(self, calls, lane):
        self.statements.append((lane, list(calls)))
        await asyncio.sleep(0)
        if lane == "main":
            return [SKIPPED if call in self.locked else f"{call} written" for call in calls]
        if self.locked.intersection(calls):
            raise StillLocked(pause_s=0.0)
        return [f"{call} written" for call in calls]

    def on(self, lane):
        return [calls for used, calls in self.statements if used == lane]


def writes_to(rows):
    return LockingWrites(
        "write", rows.send, key=lambda call: call, size=len, options=CoalescerOptions(), exclusive=BatchKeys()
    )


async def test_a_row_that_nobody_has_locked_is_written_at_once():
    rows = Rows()
    assert await writes_to(rows).ask("a") == "a written"
    assert rows.statements == [("main", ["a"])]


async def test_a_row_that_is_let_go_is_written_by_the_statement_that_waits():
    rows = Rows("a")

    async def send(calls, lane):
        if lane == "waiting":
            rows.locked.clear()
        return await rows.send(calls, lane)

    writes = LockingWrites(
        "write", send, key=lambda call: call, size=len, options=CoalescerOptions(), exclusive=BatchKeys()
    )
    assert await writes.ask("a") == "a written"
    assert [lane for lane, _ in rows.statements] == ["main", "waiting"]


async def test_a_row_that_stays_locked_is_waited_for_once_looked_at_for_a_while_and_not_stored():
    rows = Rows("a")
    writes = writes_to(rows)
    with pytest.raises(StorageUnavailable) as caught:
        await writes.ask("a")
    assert caught.value.stored == "no"
    assert rows.on("waiting") == [["a"]]
    assert 1 < len(rows.on("main")) < 50
    assert not writes._stuck


class Waiting:
    """Notes the waits of one caller."""

    def __init__(self):
        self.names = []

    def waited(self, name, duration_s):
        self.names.append(name)


async def test_pauses_between_looks_are_waits_of_the_caller():
    caller = Waiting()
    CALLER.set(caller)
    with pytest.raises(StorageUnavailable):
        await writes_to(Rows("a")).ask("a")
    CALLER.set(None)
    looks = caller.names.count("write") - 1
    assert caller.names.count("write_locked") == looks > 1


async def test_a_row_that_is_let_go_later_is_written():
    rows = Rows("a")
    asked = asyncio.ensure_future(writes_to(rows).ask("a"))
    while len(rows.on("main")) < 3:  # noqa: ASYNC110  # there is no event to await
        await asyncio.sleep(0)
    rows.locked.clear()
    assert await asked == "a written"


async def test_who_waited_in_vain_because_of_another_row_is_written_at_the_next_look():
    rows = Rows("a", "b")
    writes = writes_to(rows)
    asked = [asyncio.ensure_future(writes.ask(call)) for call in ("a", "b")]
    while not rows.on("waiting"):  # noqa: ASYNC110  # there is no event to await
        await asyncio.sleep(0)
    assert rows.on("waiting") == [["a", "b"]]
    rows.locked.discard("b")
    assert await asked[1] == "b written"
    assert not asked[0].done()
    with pytest.raises(StorageUnavailable):
        await asked[0]


async def test_no_statement_waits_for_a_row_that_others_look_at_already():
    rows = Rows("a")
    writes = writes_to(rows)
    asked = [asyncio.ensure_future(writes.ask("a"))]
    while len(rows.on("main")) < 3:  # noqa: ASYNC110  # there is no event to await
        await asyncio.sleep(0)
    asked.append(asyncio.ensure_future(writes.ask("a")))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable] * 2
    assert rows.on("waiting") == [["a"]]


async def test_who_leaves_is_forgotten():
    rows = Rows("a")
    writes = writes_to(rows)
    asked = asyncio.ensure_future(writes.ask("a"))
    while not writes._stuck:  # noqa: ASYNC110  # there is no event to await
        await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert not writes._stuck
