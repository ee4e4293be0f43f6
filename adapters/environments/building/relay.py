"""What a build reaches: one socket for each host of the index, outside of the build's network."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from attrs import define, field

from adapters.environments.building.index import Destination

CONNECTIONS_MAX = 64
_CONNECT_TIMEOUT_S = 10.0
_IDLE_S = 120.0
_PIECE_SIZE = 65_536


@define(eq=False)
class IndexRelay:
    """Connects each socket to one host, and nothing else; what passes is not looked at.

    Addresses are not judged: the operator names the index, which is often in a private network.
    """

    _bytes_max: int
    bytes: int = 0
    connections: int = 0
    failures: list[str] = field(factory=list)
    """Why hosts were not reached, each reason once."""
    _open: set["asyncio.Task[None]"] = field(factory=set, init=False)

    @asynccontextmanager
    async def opened(self, folder: Path, destinations: Sequence[Destination], uid: int | None) -> AsyncIterator[None]:
        """Listen on the sockets `0`, `1` and so on of a folder, for processes of this uid; raises OSError."""
        async with contextlib.AsyncExitStack() as servers:
            for number, destination in enumerate(destinations):
                path = folder / str(number)
                server = await asyncio.start_unix_server(partial(self._accept, destination), path)
                servers.push_async_callback(self._close, server)
                path.chmod(0o600)
                if uid is not None:
                    os.chown(path, uid, uid)
            yield

    async def _close(self, server: asyncio.Server) -> None:
        server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(
        self, destination: Destination, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            if len(self._open) > CONNECTIONS_MAX:
                self._fail(f"{destination} was not reached: {CONNECTIONS_MAX} connections are open, the limit")
            else:
                await self._connect(destination, reader, writer)
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _connect(
        self, destination: Destination, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                far_reader, far_writer = await asyncio.open_connection(destination.host, destination.port)
        except OSError as error:  # also of a time-out
            self._fail(f"{destination} was not reached: {str(error) or 'no reply'}")
            return
        self.connections += 1
        try:
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        except (OSError, EOFError):
            return
        finally:
            far_writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(_IDLE_S):
                piece = await reader.read(_PIECE_SIZE)
            if not piece:
                break
            self.bytes += len(piece)
            if self.bytes > self._bytes_max:
                self._fail(f"the build received more than {self._bytes_max:,} bytes")
                raise EOFError
            writer.write(piece)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    def _fail(self, reason: str) -> None:
        if reason not in self.failures:
            self.failures.append(reason)
