"""One response with the metrics of all processes of a service, which read each other's over private Unix sockets.

Samples of several processes are not added up: a restart would make the sum drop, which Prometheus reads as a reset of
the whole counter. Each sample has the label `process`.
"""

import asyncio
import contextlib
import re
from collections.abc import Iterable, Sequence

from attrs import define, field, frozen
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from typing_extensions import override

from entrypoints.telemetry.metrics.instruments import gauge
from entrypoints.telemetry.siblings import Siblings

UP = gauge("pglambda_process_up", "1 if the process delivered its metrics in time, else 0.")

_ALONE = "0"
_FAMILY = re.compile(rb"^(?=# HELP )", re.MULTILINE)
_END = b"# EOF\n"
"""The last line of a reply; a reply without it is incomplete. It is OpenMetrics' last line too."""


@frozen
class ScrapeLimits:
    """How long the reply of another process may take, and how large it may be."""

    timeout_s: float = 0.5
    bytes_max: int = 16 * 1024 * 1024


@frozen
class Exposition:
    """A body and its media type."""

    content_type: str
    body: bytes


def metrics_registry(*collectors: Collector) -> CollectorRegistry:
    """Return a registry of collectors; they are collected in this order."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    return registry


@define(eq=False)
class MetricsServer:
    """Sends the metrics of this process to its siblings; nobody else can enter the folder of the socket.

    The request is the media type of a text format, on one line.
    """

    siblings: Siblings
    registry: CollectorRegistry
    limits: ScrapeLimits = field(factory=ScrapeLimits)
    _server: asyncio.Server | None = field(default=None, init=False)

    async def open(self) -> None:
        """Listen; the socket of an earlier process of the same name is replaced."""
        self._server = await asyncio.start_unix_server(self._reply, self.siblings.path(self.siblings.own))

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, ValueError):
            async with asyncio.timeout(self.limits.timeout_s):
                content_type = (await reader.readline()).decode().strip()
            writer.write(await _rendered(self.registry, self.siblings.own, content_type) + _END)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@define(eq=False)
class Scrape:
    """Responds to Prometheus with the metrics of this process and of its siblings, if it has any."""

    registry: CollectorRegistry
    siblings: Siblings | None = None
    limits: ScrapeLimits = field(factory=ScrapeLimits)

    async def exposition(self, accept: str) -> Exposition:
        """Return all metrics in a format that the `Accept` header takes; takes a second at most."""
        _, content_type = choose_encoder(accept)
        siblings = self.siblings or Siblings("", _ALONE, (_ALONE,))
        texts = await asyncio.gather(*(self._text(siblings, name, content_type) for name in siblings.names))
        end = _END if content_type.startswith("application/openmetrics-text") else b""
        return Exposition(content_type, await asyncio.to_thread(_merged, texts) + end)

    async def _text(self, siblings: Siblings, name: str, content_type: str) -> bytes:
        if name == siblings.own:
            return await _rendered(self.registry, name, content_type)
        text = await _received(siblings.path(name), content_type, self.limits)
        return _text([UP.single(0)], name, content_type) if text is None else text


async def _rendered(registry: CollectorRegistry, process: str, content_type: str) -> bytes:
    """Collect on the event loop, which changes the numbers, and render in a thread, which takes milliseconds."""
    return await asyncio.to_thread(_text, [*registry.collect(), UP.single(1)], process, content_type)


def _text(metrics: Sequence[Metric], process: str, content_type: str) -> bytes:
    for metric in metrics:
        for sample in metric.samples:
            sample.labels["process"] = process
    encode, _ = choose_encoder(content_type)
    return encode(_Collected(metrics)).removesuffix(_END)


@frozen
class _Collected(Collector):
    metrics: Sequence[Metric]

    @override
    def collect(self) -> Iterable[Metric]:
        return self.metrics


def _merged(texts: Iterable[bytes]) -> bytes:
    """Return the texts of several processes as one; all samples of a family stand together, as the formats require."""
    families: dict[bytes, list[bytes]] = {}
    for text in texts:
        for family in filter(None, _FAMILY.split(text)):
            help_line, _, rest = family.partition(b"\n")
            type_line, _, samples = rest.partition(b"\n")
            families.setdefault(type_line, [help_line, b"\n", type_line, b"\n"]).append(samples)
    return b"".join(part for parts in families.values() for part in parts)


async def _received(path: str, content_type: str, limits: ScrapeLimits) -> bytes | None:
    """Return the reply of another process; None if it is late, too large or incomplete."""
    try:
        async with asyncio.timeout(limits.timeout_s):
            reply = await _exchange(path, content_type, limits.bytes_max)
    except (OSError, TimeoutError):
        return None
    return reply.removesuffix(_END) if reply.endswith(_END) else None


async def _exchange(path: str, content_type: str, bytes_max: int) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(f"{content_type}\n".encode())
        reply = bytearray()
        while (part := await reader.read(bytes_max)) and len(reply) <= bytes_max:
            reply += part
        return bytes(reply)
    finally:
        writer.close()
