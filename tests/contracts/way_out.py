"""The contract of WayOut, run on the egress process."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from domain.egress.ports import Lease, WayOut
from domain.egress.rule import EgressRule
from domain.egress.traffic import LOST, ExecutionTraffic, HostTraffic
from domain.errors import RuntimeUnavailable
from domain.identity import ANONYMOUS
from tests.contracts.script_runs import new_id
from tests.support.waiting import until

ADDRESS = "127.1.0.1"


class Upstream:
    """A server that echoes, on a port of 127.0.0.1, and the listener of a worker on the same port."""

    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []

    async def open(self) -> None:
        self.server = await asyncio.start_server(self._echo, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        self.rule = EgressRule.parse(f"127.0.0.1:{self.port}/tcp")

    def listener(self) -> int:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ADDRESS, self.port))
        listener.listen(16)
        return listener.detach()

    async def ask(self, content: bytes) -> bytes | None:
        """Return what a worker gets back for this; None if it gets nothing."""
        writer = None
        try:
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_connection(ADDRESS, self.port)
                writer.write(content)
                return await reader.readexactly(len(content))
        except (ConnectionError, asyncio.IncompleteReadError):
            return None
        finally:
            if writer is not None:
                writer.close()

    async def close(self) -> None:
        self.server.close()
        for each in self.writers:
            each.close()

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65_536):
                writer.write(piece)
                await writer.drain()
            writer.close()


class WayOutContract:
    """Subclasses provide the fixture `way_out`, whose process connects to 127.0.0.0/8, and `kill`, which ends it."""

    @pytest_asyncio.fixture
    async def upstream(self) -> AsyncIterator[Upstream]:
        upstream = Upstream()
        await upstream.open()
        yield upstream
        await upstream.close()

    async def admit(self, way_out: WayOut, upstream: Upstream) -> Lease:
        return await way_out.admit([upstream.listener()], {ADDRESS: "127.0.0.1"}, 16, ANONYMOUS)

    async def test_an_execution_reaches_the_hosts_of_its_rules_and_is_counted(self, way_out, upstream):
        lease = await self.admit(way_out, upstream)
        await lease.begin(new_id(), [upstream.rule])
        assert await upstream.ask(b"hello") == b"hello"
        assert await lease.end() == ExecutionTraffic((HostTraffic("127.0.0.1", upstream.port, 1, 5, 5),))

    async def test_an_execution_reaches_no_other_host(self, way_out, upstream):
        lease = await self.admit(way_out, upstream)
        await lease.begin(new_id(), [EgressRule.parse("api.example.com:443")])
        assert await upstream.ask(b"hello") is None
        assert (await lease.end()).last_refusal.host == "127.0.0.1"

    async def test_an_execution_does_not_reach_what_belongs_to_the_service_then(self, way_out, upstream):
        lease = await self.admit(way_out, upstream)
        for guarded, heard in (([("127.0.0.1", upstream.port)], None), ([("127.0.0.2", upstream.port)], b"hello")):
            await lease.begin(new_id(), [upstream.rule], guarded)
            assert await upstream.ask(b"hello") == heard
            await lease.end()

    async def test_nothing_is_reached_outside_of_an_execution(self, way_out, upstream):
        lease = await self.admit(way_out, upstream)
        assert await upstream.ask(b"hello") is None
        await lease.begin(new_id(), [upstream.rule])
        await lease.end()
        assert await upstream.ask(b"hello") is None

    async def test_executions_are_counted_apart(self, way_out, upstream):
        lease = await self.admit(way_out, upstream)
        for size in (3, 7):
            await lease.begin(new_id(), [upstream.rule])
            assert await upstream.ask(bytes(size)) == bytes(size)
            (host,) = (await lease.end()).hosts
            assert host.sent_bytes == size

    async def test_a_closed_lease_reaches_nothing_and_may_be_closed_again(self, way_out, upstream):
        lease = await self.admit(way_out, upstream)
        lease.close()
        lease.close()
        assert await upstream.ask(b"hello") is None
        assert not lease.is_lost

    async def test_a_lease_that_is_closed_during_an_execution_is_still_counted(self, way_out, upstream):
        lease = await self.admit(way_out, upstream)
        await lease.begin(new_id(), [upstream.rule])
        assert await upstream.ask(b"hello") == b"hello"
        lease.close()
        assert (await lease.end()).hosts[0].sent_bytes == 5
        assert await upstream.ask(b"hello") is None

    async def test_leases_are_lost_with_the_process_and_new_ones_work(self, way_out, upstream, kill):
        lease = await self.admit(way_out, upstream)
        await lease.begin(new_id(), [upstream.rule])
        kill()
        await until(lambda: lease.is_lost)
        assert await lease.end() == LOST
        with pytest.raises(RuntimeUnavailable) as refused:
            await lease.begin(new_id(), [upstream.rule])
        assert refused.value.executed == "no"
        lease.close()
        await upstream.close()
        await upstream.open()
        again = await self.admit(way_out, upstream)
        await again.begin(new_id(), [upstream.rule])
        assert await upstream.ask(b"hello") == b"hello"
        await again.end()

    async def test_the_health_says_what_there_is(self, way_out, upstream, kill):
        assert await way_out.health() == {"status": "ok", "process": "idle", "starts": 0}
        lease = await self.admit(way_out, upstream)
        assert await way_out.health() == {"status": "ok", "process": "running", "workers": 1, "starts": 1}
        lease.close()
        assert (await way_out.health())["workers"] == 0
        kill()
        await until(lambda: lease.is_lost)
        assert (await way_out.health())["status"] == "degraded"

    async def test_a_closed_way_out_admits_nobody(self, way_out, upstream):
        lease = await self.admit(way_out, upstream)
        await way_out.close()
        assert lease.is_lost
        with pytest.raises(RuntimeUnavailable):
            await self.admit(way_out, upstream)
