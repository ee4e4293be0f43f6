"""The processes of one service, which tell each other their figures over private Unix sockets."""

import asyncio
import contextlib
from pathlib import Path

import msgspec
from attrs import define, field, frozen
from msgspec import Struct

from entrypoints.telemetry.metrics.registry import Registry
from entrypoints.telemetry.metrics.samples import Reading


@frozen
class ScrapeLimits:
    """How long an answer of a sibling may take, and how large it may be."""

    timeout_s: float = 0.5
    bytes_max: int = 16 * 1024 * 1024


class Siblings(Struct, frozen=True):
    """The folder of the sockets, this process's own name, and the names of all."""

    folder: str
    own: str
    names: tuple[str, ...]

    def path(self, name: str) -> str:
        """Return where a process listens."""
        return str(Path(self.folder) / f"figures-{name}")


@define(eq=False)
class MetricsServer:
    """Tells this process's figures to whoever connects; the folder lets its siblings in alone."""

    siblings: Siblings
    registry: Registry
    _server: asyncio.Server | None = field(default=None, init=False)

    async def open(self) -> None:
        """Listen; what a process of the same name has left behind is replaced."""
        self._server = await asyncio.start_unix_server(self._tell, self.siblings.path(self.siblings.own))

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _tell(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(msgspec.msgpack.encode(self.registry.read()))
            writer.close()
            await writer.wait_closed()


async def ask(siblings: Siblings, patience: ScrapeLimits | None = None) -> dict[str, list[Reading] | None]:
    """Return what each other process tells; None of one that does not answer in time."""
    names = [name for name in siblings.names if name != siblings.own]
    patience = patience or ScrapeLimits()
    answers = await asyncio.gather(*(_answer(siblings.path(name), patience) for name in names))
    return dict(zip(names, answers, strict=True))


async def _answer(path: str, patience: ScrapeLimits) -> list[Reading] | None:
    try:
        async with asyncio.timeout(patience.timeout_s):
            return msgspec.msgpack.decode(await _received(path, patience.bytes_max), type=list[Reading])
    except (OSError, TimeoutError, msgspec.MsgspecError):
        return None


async def _received(path: str, bytes_max: int) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        received = bytearray()
        while (part := await reader.read(bytes_max)) and len(received) <= bytes_max:
            received += part
        return bytes(received)
    finally:
        writer.close()
