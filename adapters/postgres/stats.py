"""The numbers of the database adapters, read together."""

from collections.abc import Sequence
from typing import Any

from attrs import define

from adapters.postgres.batching.coalescer import Coalescer
from adapters.postgres.clock.disciplined import DisciplinedClock
from adapters.postgres.gateway import Gateway
from adapters.postgres.retention.cleanup import Cleanup
from adapters.postgres.retention.history_budget import HistoryBudget
from domain.stats import ClockStats, DatabaseStats


@define(eq=False)
class DatabaseStatsReader:
    """Reads the gateway, the coalescers of all repositories, the clock, the cleanup and the storage budget."""

    _gateway: Gateway
    _coalescers: Sequence[Coalescer[Any, Any]]
    _clock: DisciplinedClock
    _cleanup: Cleanup
    _budget: HistoryBudget

    def read(self) -> DatabaseStats:
        """Return the present numbers; never waits."""
        clock = self._clock
        return DatabaseStats(
            pools=self._gateway.pools(),
            coalescers={each.name: each.stats() for each in self._coalescers},
            clock=ClockStats(clock.offset_ms, clock.error_bound_ms, clock.correction_ms, clock.ready),
            cleanup=self._cleanup.stats(),
            storage=self._budget.state,
            budget=self._budget.budget,
        )
