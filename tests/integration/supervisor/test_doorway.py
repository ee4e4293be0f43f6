"""Processes that take connections from one socket, and leave them to each other."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
from attrs import define, field

from entrypoints.supervision.doorway import Doorway
from entrypoints.supervision.listener import listen
from tests.integration.supervisor.conftest import TIMEOUT_S

KEPT_MAX = 16


@define(eq=False)
class Sibling:
    """A doorway of a process that keeps as many connections as the test says, beside those that it takes."""

    listener: socket.socket
    kept: int = 0
    taken: list[asyncio.Protocol] = field(factory=list)
    doorway: Doorway = field(init=False)

    def __attrs_post_init__(self) -> None:
        kept = lambda: self.kept + len(self.taken)  # noqa: E731
        self.doorway = Doorway(self.listener.dup(), self.connection, kept, KEPT_MAX)

    def connection(self) -> asyncio.Protocol:
        self.taken.append(asyncio.Protocol())
        return self.taken[-1]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with listen("127.0.0.1", 0) as found:
        found.setblocking(False)
        yield found


@pytest.fixture
async def siblings(listener: socket.socket) -> AsyncIterator[list[Sibling]]:
    made = [Sibling(listener), Sibling(listener)]
    for each in made:
        await each.doorway.open()
    yield made
    for each in made:
        each.doorway.close()


async def connect(listener: socket.socket) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection(*listener.getsockname())
    return writer


async def until_taken(sibling: Sibling) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not sibling.taken:  # noqa: ASYNC110  # only the event loop knows when
            await asyncio.sleep(0)


async def test_a_process_that_has_seven_eighths_leaves_new_connections_to_the_other(listener, siblings):
    nearly_full, other = siblings
    nearly_full.kept = 14
    await nearly_full.doorway.look()
    assert not nearly_full.doorway.servers
    writer = await connect(listener)
    await until_taken(other)
    assert not nearly_full.taken
    writer.close()


async def test_it_comes_back_when_it_has_fewer(listener, siblings):
    once_full, other = siblings
    once_full.kept, other.kept = 14, 16
    for each in siblings:
        await each.doorway.look()
    once_full.kept = 13
    await once_full.doorway.look()
    writer = await connect(listener)
    await until_taken(once_full)
    writer.close()


async def test_what_waits_is_taken_by_the_one_that_has_room_and_not_by_the_full_one(listener, siblings):
    full, other = siblings
    full.kept, other.kept = 16, 14
    for each in siblings:
        await each.doorway.look()
    writer = await connect(listener)
    for _ in range(4):
        await full.doorway.look()
    assert not full.taken
    await other.doorway.look()
    assert len(other.taken) == 1
    writer.close()


async def test_where_all_are_full_somebody_takes_who_waits_to_tell_them(listener, siblings):
    for each in siblings:
        each.kept = 16
        await each.doorway.look()
    writers = [await connect(listener) for _ in range(3)]
    for _ in range(5):
        await siblings[0].doorway.look()
    assert len(siblings[0].taken) == 3
    for writer in writers:
        writer.close()


async def test_one_that_has_stepped_aside_takes_no_more_than_it_keeps(listener, siblings):
    for each in siblings:
        each.kept = 15
        await each.doorway.look()
    writers = [await connect(listener) for _ in range(3)]
    await siblings[0].doorway.look()
    assert len(siblings[0].taken) == 1
    for writer in writers:
        writer.close()
