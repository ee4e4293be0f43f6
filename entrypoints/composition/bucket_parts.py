"""The adapters of each bucket, which share the clock of home, its limits and its turns."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import define, field
from dependency_injector import providers

from adapters.buckets.directory import Directory, Storage, serves
from adapters.buckets.ids import InBucket
from adapters.postgres.batching.coalescer import Coalescer
from adapters.postgres.batching.statement_turns import MessageRounds, NodeTurns, StatementTurns
from adapters.postgres.buckets.node import Nodes
from adapters.postgres.buckets.placements import Placement, Placements
from adapters.postgres.buckets.pool import GATHERED, BucketGateway, bucket_gateway
from adapters.postgres.repositories.environments import UseElsewhere
from adapters.postgres.retention.bucket_cleanups import BucketCleanups
from adapters.postgres.retention.functions import Pinned
from adapters.postgres.retention.history_budget import BucketBudgets
from adapters.random_ids import RandomIds
from domain.errors import Unavailable
from entrypoints.composition.checked_options import gateway_options
from entrypoints.composition.database import Database
from entrypoints.composition.options import storage_budget
from entrypoints.server.lifespan import bounded
from entrypoints.settings.settings import Settings

_DRAIN_TIMEOUT_S = 5.0
_GATEWAY = "gateway"


@define(eq=False)
class BucketParts:
    """Makes the adapters of buckets. Those on one node start statements of one kind in turn."""

    _settings: Settings
    _home: Any
    _placements: Placements
    _retention: "BucketRetention"
    _turns: dict[tuple[int | None, str, bool], StatementTurns] = field(factory=dict, init=False)
    _rounds: dict[str, MessageRounds] = field(factory=lambda: defaultdict(MessageRounds), init=False)
    """Rounds of messages by the names of their statements."""

    _open: dict[int, Sequence[Coalescer[Any, Any]]] = field(factory=dict, init=False)
    """The coalescers of each bucket."""
    gateways: list[BucketGateway] = field(factory=list, init=False)
    coalescers: list[Coalescer[Any, Any]] = field(init=False)
    """Those of all buckets that are open, for metrics."""

    nodes: Nodes = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.nodes = Nodes(gateway_options(self._settings), self._home.observe())
        self.coalescers = list(self._home.coalescers())
        self._placements.on_placed = self._group

    def storage(self, number: int) -> Storage:
        """Return the storage of a bucket, before its connections are opened."""
        options, observe = gateway_options(self._settings), self._home.observe()
        gateway = bucket_gateway(number, self._placements, options, observe, self.nodes)
        self.gateways.append(gateway)
        bucket = Database(settings=self._settings, observe=observe)
        shared = {
            _GATEWAY: gateway,
            "home_gateway": self._home.gateway(),
            "clock": self._home.clock(),
            "writing": self._home.writing(),
            "made_ids": InBucket(RandomIds(), number),
            "storage_budget": storage_budget(self._settings),
        }
        for name, each in shared.items():
            getattr(bucket, name).override(providers.Object(each))
        self._retention.add(number, bucket)
        return storage_of(number, bucket, self._home, _OpenBucket(bucket, gateway, partial(self._share, number)))

    async def pinned(self, directory: Directory) -> Pinned:
        """Return the versions that sessions in buckets are pinned to.

        Raises StorageUnavailable or Overloaded, also while there may be buckets that are not known.
        """
        directory.hashing()
        select, found = self._home.statements().cleanup.select_pinned_versions, []
        for gateway in self.gateways:
            found += await gateway.fetch(select, {})
        return found

    async def environment_use(self, directory: Directory, parameters: Mapping[str, object]) -> UseElsewhere:
        """Return whether sessions in buckets have a version of an environment; raises as `pinned`."""
        directory.hashing()
        select = self._home.statements().cleanup.select_environment_use
        for gateway in self.gateways:
            ((may_be_used,),) = await gateway.fetch(select, parameters)
            if may_be_used:
                return UseElsewhere(may_be_used=True)
        return UseElsewhere(asked=[gateway.number for gateway in self.gateways])

    async def _share(self, number: int, coalescers: Sequence[Any]) -> None:
        """Let the coalescers of a bucket start statements in turn with those of its node, as soon as it is known."""
        self.coalescers.extend(coalescers)
        self._open[number] = coalescers
        self._turn_at(None, coalescers)
        with contextlib.suppress(Unavailable):
            await self._placements.of(number)
        placement = self._placements.known(number)
        if placement is not None:
            self._group(placement)

    def _group(self, placement: Placement) -> None:
        self.nodes.retain(self._placements.nodes)
        coalescers = self._open.get(placement.number, ())
        self._turn_at(placement.node.group, coalescers, gathers=placement.gathers)

    def _turn_at(self, group: int | None, coalescers: Sequence[Coalescer[Any, Any]], *, gathers: bool = False) -> None:
        for each in coalescers:
            together = gathers and each.statement_name in GATHERED
            key = group, each.name, together
            if key not in self._turns:
                self._turns[key] = NodeTurns(rounds=self._rounds[each.name]) if together else StatementTurns()
            each.share(self._turns[key])


@define(eq=False)
class BucketRetention:
    """One cleanup and one budget for all buckets."""

    _home: Any
    cleanups: BucketCleanups = field(init=False)
    budgets: BucketBudgets = field(init=False)

    def begin(self) -> None:
        """Take what HOME has, before its providers are replaced."""
        self.cleanups = BucketCleanups(self._home.cleanup())
        self.budgets = BucketBudgets(self._home.storage_budget())
        self.budgets.add(self._home.storage())

    def add(self, number: int, bucket: Any) -> None:
        """Clean up another bucket, and count what it has stored."""
        self.cleanups.add(number, bucket.cleanup())
        self.budgets.add(bucket.storage())


@define(eq=False)
class _OpenBucket:
    """The connections of one bucket."""

    _database: Any
    _gateway: BucketGateway
    _share: Callable[[Sequence[Any]], Awaitable[None]]

    def is_away(self) -> bool:
        """Return whether its node did not serve a moment ago."""
        return self._gateway.is_away

    async def open(self) -> None:
        """Begin to connect."""
        await self._share(self._database.coalescers())
        await self._gateway.open()

    async def close(self) -> None:
        """End what waits and runs, within a limit."""
        closing = (bounded(each.close, _DRAIN_TIMEOUT_S)() for each in self._database.coalescers())
        await asyncio.gather(*closing)
        await self._gateway.close()


def storage_of(number: int, database: Any, home: Any, running: _OpenBucket | None = None) -> Storage:
    """Return the ports of a bucket; without `running` those of HOME, which is open as long as the process."""
    ports = {
        "sessions": database.sessions(),
        "keyed_sessions": database.keyed_sessions(),
        "hidden_sessions": database.hidden_sessions(),
        "executions": database.executions(),
        "keyed_executions": database.keyed_executions(),
        "live_output": database.live_output(),
        "states": database.states(),
        "files": database.files(),
        "queue": database.execution_queue(),
        "schedules": database.schedules(),
        "usage": database.usage(),
        "execution_counts": database.execution_counts(),
        "webhooks": database.webhooks(),
        "deliveries": database.deliveries(),
        "audit": database.audit(),
        "purger": database.purger(),
        "owner_mover": database.owner_mover(),
        "owner_purger": database.owner_purger(),
        "timeline": database.timeline(),
    }
    if running is None:
        return Storage(number=number, **ports, functions=home.functions(), is_away=serves)
    return Storage(
        number=number,
        **ports,
        functions=home.functions(),
        is_away=running.is_away,
        open=running.open,
        close=running.close,
    )
