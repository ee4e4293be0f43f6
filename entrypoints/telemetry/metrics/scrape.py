"""One answer to Prometheus, by any process of the service for all of them."""

import asyncio

from attrs import define

from entrypoints.telemetry.metrics.exposition import Exposition, expose
from entrypoints.telemetry.metrics.multiprocess import Siblings, ask
from entrypoints.telemetry.metrics.registry import Registry
from entrypoints.telemetry.metrics.samples import Reading, gauge, single

UP = gauge("pglambda_process_up", "1 if the process delivered its metrics in time, else 0.")

_ALONE = "0"


@define(eq=False)
class Scrape:
    """Gathers the figures of this process and of its siblings, where it has any."""

    registry: Registry
    siblings: Siblings | None = None

    async def exposition(self, accept: str) -> Exposition:
        """Return all figures in a format that the `Accept` header takes; within a second."""
        own = [*self.registry.read(), single(UP, 1)]
        if self.siblings is None:
            told = {_ALONE: own}
        else:
            others = await ask(self.siblings)
            told = {name: _told(others[name]) if name in others else own for name in self.siblings.names}
        # Putting it in words takes some milliseconds for each process, which requests need not wait for.
        return await asyncio.to_thread(expose, told, accept)


def _told(readings: list[Reading] | None) -> list[Reading]:
    return [single(UP, 0)] if readings is None else [*readings, single(UP, 1)]
