"""Processes that take connections from one socket, and leave them to each other."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
from attrs import define, field

from entrypoints.server.acceptor import Acceptor
from entrypoints.server.listener import listen
from entrypoints.server.open_connections import OpenConnections
from tests.integration.supervisor.conftest import TIMEOUT_S
from tests.support.waiting import until

KEPT_MAX = 16


class Connection(asyncio.Protocol):
    """A connection that has no request, and is closed when its place is needed."""

    def close_if_unused(self) -> bool:
        return True

    def abort(self) -> None:
        raise AssertionError("nothing lingers here")


@define(eq=False)
class Sibling:
    """A doorway of a process with as many connections as the test says, beside those that it takes."""

    listener: socket.socket
    connections: OpenConnections = field(factory=lambda: OpenConnections(KEPT_MAX))
    taken: list[asyncio.Protocol] = field(factory=list)
    refused: int = 0
    doorway: Acceptor = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.doorway = Acceptor(self.listener.dup(), self.connection, self.connections, is_shared=True)

    def connection(self) -> asyncio.Protocol:
        connection = Connection()
        self.refused += not self.connections.add(connection)
        self.taken.append(connection)
        return connection

    def keep(self, *, busy: int = 0, idle: int = 0) -> list[Connection]:
        """Add connections with and without a request."""
        connections = [Connection() for _ in range(busy + idle)]
        for connection in connections:
            assert self.connections.add(connection)
        for connection in connections[:busy]:
            self.connections.serve(connection)
        return connections


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


@pytest.mark.parametrize("kept", [{"busy": 14}, {"idle": 14}], ids=["with requests", "without requests"])
async def test_a_process_that_has_seven_eighths_leaves_new_connections_to_the_other(listener, siblings, kept):
    nearly_full, other = siblings
    nearly_full.keep(**kept)
    await nearly_full.doorway.look()
    assert not nearly_full.doorway.servers
    writer = await connect(listener)
    await until(lambda: other.taken, TIMEOUT_S)
    assert not nearly_full.taken
    writer.close()


async def test_it_comes_back_when_it_has_fewer(listener, siblings):
    once_full, other = siblings
    kept = once_full.keep(busy=14)
    other.keep(busy=16)
    for each in siblings:
        await each.doorway.look()
    once_full.connections.remove(kept[0])
    await once_full.doorway.look()
    writer = await connect(listener)
    await until(lambda: once_full.taken, TIMEOUT_S)
    writer.close()


async def test_what_waits_is_taken_by_the_one_that_has_room_and_not_by_the_full_one(listener, siblings):
    full, other = siblings
    full.keep(busy=16)
    other.keep(busy=14)
    for each in siblings:
        await each.doorway.look()
    writer = await connect(listener)
    for _ in range(4):
        await full.doorway.look()
    assert not full.taken
    await other.doorway.look()
    assert len(other.taken) == 1
    writer.close()


async def test_where_all_have_requests_only_one_takes_who_waits_to_refuse_them(listener, siblings):
    for each in siblings:
        each.keep(busy=16)
        await each.doorway.look()
    writers = [await connect(listener) for _ in range(3)]
    for _ in range(5):
        await siblings[0].doorway.look()
    assert (len(siblings[0].taken), siblings[0].refused) == (3, 3)
    for writer in writers:
        writer.close()


async def test_where_all_are_full_of_idle_connections_the_second_look_takes_who_waits(listener, siblings):
    for each in siblings:
        each.keep(idle=16)
        await each.doorway.look()
    writers = [await connect(listener) for _ in range(3)]
    await siblings[0].doorway.look()
    assert not siblings[0].taken, "a sibling may have room"
    await siblings[0].doorway.look()
    assert (len(siblings[0].taken), siblings[0].refused) == (3, 0)
    for writer in writers:
        writer.close()


async def test_a_process_whose_siblings_are_full_accepts_at_once_and_leaves_clients_to_them_later(listener, siblings):
    first, second = siblings
    for each in siblings:
        each.keep(idle=16)
        await each.doorway.look()
    writers = [await connect(listener)]
    for _ in range(3):
        await first.doorway.look()
    first.taken.clear()
    writers.append(await connect(listener))
    await until(lambda: first.taken, TIMEOUT_S)
    for _ in range(100):
        await first.doorway.look()
    assert not first.doorway.servers
    assert not second.taken
    for writer in writers:
        writer.close()


async def test_a_process_that_is_nearly_full_of_requests_stays_aside_though_its_siblings_are_full(listener, siblings):
    first, second = siblings
    first.keep(busy=14, idle=2)
    second.keep(busy=16)
    for each in siblings:
        await each.doorway.look()
    writer = await connect(listener)
    for _ in range(2):
        await first.doorway.look()
    assert (len(first.taken), first.refused) == (1, 0)
    await first.doorway.look()
    assert not first.doorway.servers
    writer.close()


async def test_one_that_has_stepped_aside_takes_no_more_than_it_keeps(listener, siblings):
    for each in siblings:
        each.keep(busy=15)
        await each.doorway.look()
    writers = [await connect(listener) for _ in range(3)]
    await siblings[0].doorway.look()
    assert len(siblings[0].taken) == 1
    for writer in writers:
        writer.close()
