"""Processes that accept connections from one socket, and leave them to each other."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
from attrs import define, field

from entrypoints.server.acceptor import Acceptor
from entrypoints.server.listener import listen
from entrypoints.server.open_connections import OpenConnections
from tests.support.waiting import until

COUNT_MAX = 16
TIMEOUT_S = 30.0


class Connection(asyncio.Protocol):
    """A connection that can be closed, unless the test says that bytes are under way."""

    closed = used = False

    def close_if_unused(self) -> bool:
        self.closed = not self.used
        return self.closed

    def abort(self) -> None:
        raise AssertionError("no connection lingers in these tests")


@define(eq=False)
class Sibling:
    """The acceptor of a process, whose further connections the test sets."""

    listener: socket.socket
    connections: OpenConnections = field(factory=lambda: OpenConnections(COUNT_MAX))
    accepted: list[asyncio.Protocol] = field(factory=list)
    rejected: int = 0
    acceptor: Acceptor = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.acceptor = Acceptor(
            self.listener.dup(), self.connection, self.connections, is_shared=True, last_request_s=0
        )

    def connection(self) -> asyncio.Protocol:
        connection = Connection()
        self.rejected += not self.connections.add(connection)
        self.accepted.append(connection)
        return connection

    def keep(self, *, busy: int = 0, idle: int = 0) -> list[Connection]:
        """Add connections with and without a request."""
        connections = [Connection() for _ in range(busy + idle)]
        for connection in connections:
            assert self.connections.add(connection)
        for connection in connections[:busy]:
            self.connections.mark_busy(connection)
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
        await each.acceptor.open()
    yield made
    for each in made:
        each.acceptor.close()


async def connect(listener: socket.socket) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection(*listener.getsockname())
    return writer


@pytest.mark.parametrize("kept", [{"busy": 14}, {"idle": 14}], ids=["with requests", "without requests"])
async def test_a_process_with_seven_eighths_of_its_connections_leaves_new_clients_to_the_other(
    listener, siblings, kept
):
    nearly_full, other = siblings
    nearly_full.keep(**kept)
    await nearly_full.acceptor.check()
    assert not nearly_full.acceptor.servers
    writer = await connect(listener)
    await until(lambda: other.accepted, TIMEOUT_S)
    assert not nearly_full.accepted
    writer.close()


async def test_a_process_accepts_again_when_it_is_less_crowded(listener, siblings):
    once_crowded, other = siblings
    kept = once_crowded.keep(busy=14)
    other.keep(busy=16)
    for each in siblings:
        await each.acceptor.check()
    once_crowded.connections.remove(kept[0])
    await once_crowded.acceptor.check()
    writer = await connect(listener)
    await until(lambda: once_crowded.accepted, TIMEOUT_S)
    writer.close()


async def test_the_process_below_its_limit_accepts_waiting_clients_and_the_full_one_does_not(listener, siblings):
    full, other = siblings
    full.keep(busy=16)
    other.keep(busy=14)
    for each in siblings:
        await each.acceptor.check()
    writer = await connect(listener)
    for _ in range(4):
        await full.acceptor.check()
    assert not full.accepted
    await other.acceptor.check()
    assert len(other.accepted) == 1
    writer.close()


async def test_a_process_with_requests_on_all_connections_accepts_waiting_clients_to_reject_them(listener, siblings):
    for each in siblings:
        each.keep(busy=16)
        await each.acceptor.check()
    writers = [await connect(listener) for _ in range(3)]
    for _ in range(5):
        await siblings[0].acceptor.check()
    assert (len(siblings[0].accepted), siblings[0].rejected) == (3, 3)
    for writer in writers:
        writer.close()


async def test_if_all_are_full_of_idle_connections_the_second_check_accepts_waiting_clients(listener, siblings):
    for each in siblings:
        each.keep(idle=16)
        await each.acceptor.check()
    writers = [await connect(listener) for _ in range(3)]
    await siblings[0].acceptor.check()
    assert not siblings[0].accepted, "a sibling may have room"
    await siblings[0].acceptor.check()
    assert (len(siblings[0].accepted), siblings[0].rejected) == (3, 0)
    for writer in writers:
        writer.close()


async def test_a_process_with_full_siblings_accepts_at_once_and_leaves_clients_to_them_later(listener, siblings):
    first, second = siblings
    for each in siblings:
        each.keep(idle=16)
        await each.acceptor.check()
    writers = [await connect(listener)]
    for _ in range(3):
        await first.acceptor.check()
    first.accepted.clear()
    writers.append(await connect(listener))
    await until(lambda: first.accepted, TIMEOUT_S)
    for _ in range(100):
        await first.acceptor.check()
    assert not first.acceptor.servers
    assert not second.accepted
    for writer in writers:
        writer.close()


async def test_a_process_with_requests_on_seven_eighths_leaves_clients_to_full_siblings(listener, siblings):
    first, second = siblings
    first.keep(busy=14, idle=2)
    second.keep(busy=16)
    for each in siblings:
        await each.acceptor.check()
    writer = await connect(listener)
    for _ in range(2):
        await first.acceptor.check()
    assert (len(first.accepted), first.rejected) == (1, 0)
    await first.acceptor.check()
    assert not first.acceptor.servers
    writer.close()


async def test_a_crowded_process_accepts_no_more_clients_than_it_has_free_connections(listener, siblings):
    for each in siblings:
        each.keep(busy=15)
        await each.acceptor.check()
    writers = [await connect(listener) for _ in range(3)]
    await siblings[0].acceptor.check()
    assert len(siblings[0].accepted) == 1
    for writer in writers:
        writer.close()


async def test_clients_that_a_process_leaves_wait_for_the_next_one(listener, siblings):
    leaving, next_one = siblings
    (idle, busy) = leaving.keep(idle=1, busy=1)[::-1]
    next_one.acceptor.close()
    await leaving.acceptor.leave_clients()
    assert (idle.closed, busy.closed) == (True, False)
    assert leaving.connections.are_last
    writer = await connect(listener)
    await leaving.acceptor.check()
    assert not leaving.accepted
    started = Sibling(listener)
    await started.acceptor.open()
    await until(lambda: started.accepted, TIMEOUT_S)
    started.acceptor.close()
    writer.close()


async def test_a_connection_whose_request_is_under_way_stays_open(siblings):
    (used,) = siblings[0].keep(idle=1)
    used.used = True
    leaving = asyncio.create_task(siblings[0].acceptor.leave_clients())
    await until(lambda: siblings[0].connections.are_last, TIMEOUT_S)
    await leaving
    assert not used.closed
