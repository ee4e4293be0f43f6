"""Holds the storage to its budget: it removes days of the history, the oldest first."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog
from attrs import define, evolve, field

from adapters.postgres.codec import PARTITIONS, day_number, first_id_of
from adapters.postgres.gateway import Gateway
from adapters.postgres.retention.gauge import StorageGauge
from adapters.postgres.statements.administration import StorageStatements
from adapters.postgres.statements.catalogue import Statements
from domain.errors import StorageUnavailable
from domain.stats import StorageState
from domain.storage.storage import HistoryDay, StorageBudget, Stored

_FRESH = timedelta(minutes=10)
"""A bucket that was not measured for so long is away: nobody waits for its days."""

_log = structlog.get_logger(__name__)


def _no_other(_: datetime) -> Sequence[Stored]:
    return ()


@define(eq=False)
class HistoryBudget:
    """Any number of controllers may run it at once: a chosen day is checked again under its lock.

    `elsewhere` returns what other buckets have stored, which the budget counts too.
    """

    _gateway: Gateway
    _storage: StorageStatements
    _gauge: StorageGauge
    budget: StorageBudget
    state: StorageState | None = field(init=False, default=None)
    elsewhere: Callable[[datetime], Sequence[Stored]] = field(init=False, default=_no_other)

    @classmethod
    def of(cls, gateway: Gateway, statements: Statements, budget: StorageBudget) -> "HistoryBudget":
        """Return the budget of the database behind the gateway."""
        return cls(gateway, statements.storage, StorageGauge(gateway, statements.storage), budget)

    async def enforce(self, now: datetime) -> None:
        """Measure the storage, and empty days of the history until it is within the budget or no day is left.

        Raises StorageUnavailable or Overloaded.
        """
        stored, elsewhere = await self._gauge.stored(), self.elsewhere(now)
        for _ in range(PARTITIONS):
            day = self.budget.day_to_shorten(stored, now, elsewhere)
            if day is None or not await self._shorten(day, stored, now):
                break
            stored = await self._gauge.stored()
        shortened = self.budget.missing_days(await self._gauge.shortened(), now)
        everything = Stored.together([stored, *elsewhere])
        is_exceeded = self.budget.exceeded(everything) and self.budget.day_to_shorten(everything, now) is None
        if is_exceeded and not (self.state and self.state.is_exceeded):
            _log.warning("storage_budget_exceeded", **self._sizes(everything))
        self.state = StorageState(now, stored, shortened, is_exceeded)

    async def _shorten(self, day: HistoryDay, stored: Stored, now: datetime) -> bool:
        """Empty the day; return False if another transaction uses it."""
        number = day_number(day.day)
        partition = number % PARTITIONS
        facts = {
            "partition": partition,
            "kept_from": first_id_of(number + 1),
            "day": day.day,
            "shortened_at": now,
            "size_bytes": day.amount.size_bytes,
        }
        try:
            ((emptied,),) = await self._gateway.fetch(self._storage.shorten_history, facts, repeatable=False)
        except StorageUnavailable:
            _log.info("partition_in_use", partition=partition)
            return False
        if emptied:
            _log.warning(
                "history_shortened", day=str(day.day), freed_bytes=day.amount.size_bytes, **self._sizes(stored)
            )
        return True

    def _sizes(self, stored: Stored) -> dict[str, object]:
        parts = {part.value: amount.size_bytes for part, amount in stored.parts.items()}
        return {"stored_bytes": stored.size_bytes, "budget_bytes": self.budget.size_max_bytes, "parts_bytes": parts}


@define(eq=False)
class BucketBudgets:
    """One budget for the history in all buckets: a bucket counts as at its last measurement."""

    budget: StorageBudget
    _buckets: list[HistoryBudget] = field(factory=list, init=False)

    def add(self, bucket: HistoryBudget) -> None:
        """Count what a bucket has stored, and let it count the others."""
        self._buckets.append(bucket)
        bucket.elsewhere = partial(self._elsewhere, bucket)

    @property
    def state(self) -> StorageState | None:
        """The state of all that were measured; None before the first one."""
        states = [each.state for each in self._buckets if each.state is not None]
        return StorageState.together(states, self.budget) if states else None

    def _elsewhere(self, bucket: HistoryBudget, now: datetime) -> Sequence[Stored]:
        states = [each.state for each in self._buckets if each is not bucket and each.state is not None]
        return [each.stored if now - each.measured_at < _FRESH else evolve(each.stored, history=()) for each in states]
