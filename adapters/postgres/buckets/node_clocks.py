"""The clocks of the nodes of a distributed database, measured against the time of the service."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

from attrs import define, field

from adapters.postgres.buckets.placements import Node, Placements
from adapters.postgres.buckets.pool import BucketGateway
from adapters.postgres.clock.probe import Fetch
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway
from domain.clock import Clock
from domain.errors import Unavailable

HOME = "home"
_INTERVAL_S = 30.0
_TIMEOUT_S = 1.0
_MILLISECOND = timedelta(milliseconds=1)


@define(eq=False)
class NodeClocks:
    """Measures the clock of each node every 30 s. Only the source of the time has an effect; the others are shown.

    `fetch_alone` returns how to ask a node without buckets, to which there are no connections.
    """

    _clock: Clock
    _home: Gateway
    _buckets: Sequence[BucketGateway]
    _placements: Placements
    _select: Statement
    _fetch_alone: Callable[[Node], Fetch]
    _workers: Sequence[Node] = field(default=(), init=False)
    """All nodes but the coordinator, as they were read last."""

    offsets_ms: Mapping[str, float] = field(factory=dict, init=False)
    """How far the clock of each node that responds is ahead of the time of the service, by address."""

    async def run(self) -> None:
        """Measure for ever."""
        while True:
            await self.measure()
            await asyncio.sleep(_INTERVAL_S)

    @property
    def workers(self) -> Sequence[str]:
        """The addresses of all nodes but the coordinator."""
        return [node.address for node in self._workers]

    async def measure(self) -> None:
        """Measure each node once, all at the same time."""
        with suppress(Unavailable):
            self._workers = await self._placements.workers()
        nodes = self._nodes()
        offsets = await asyncio.gather(*map(self._offset_ms, nodes.values()))
        self.offsets_ms = {node: ms for node, ms in zip(nodes, offsets, strict=True) if ms is not None}

    def _nodes(self) -> Mapping[str, Fetch]:
        """Return how to ask each node."""
        placed = {each: self._placements.known(each.number) for each in self._buckets}
        with_buckets = {at.node.address: each.fetch for each, at in placed.items() if at is not None}
        alone = {node.address: self._fetch_alone(node) for node in self._workers if node.address not in with_buckets}
        return {HOME: self._home.fetch} | with_buckets | alone

    async def _offset_ms(self, fetch: Fetch) -> float | None:
        """Return how far the clock of a node is ahead, at the middle of the round trip; None if it does not respond."""
        try:
            sent_at = self._clock.now()
            ((node_at,),) = await fetch(self._select, {}, timeout_s=_TIMEOUT_S, repeatable=False)
            ahead: timedelta = node_at - sent_at - (self._clock.now() - sent_at) / 2
        except Unavailable:
            return None
        return ahead / _MILLISECOND
