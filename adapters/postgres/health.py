"""The health of the database adapters, for people and for load balancers."""

import time
from collections.abc import Awaitable, Callable, Mapping

from attrs import define

from adapters.postgres.buckets.unknown_buckets import UnknownBuckets
from adapters.postgres.clock.disciplined import DisciplinedClock
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway
from adapters.postgres.migrations.migration import MigrationsDiffer
from adapters.postgres.migrations.schema import SchemaCheck
from adapters.postgres.retention.bucket_cleanups import BucketCleanups
from adapters.postgres.retention.cleanup import Cleanup
from adapters.postgres.retention.history_budget import BucketBudgets, HistoryBudget
from adapters.postgres.write_probe import WriteProbe, failing
from domain.cleanup import CleanupFailure, CleanupStats
from domain.errors import DomainError, StorageUnavailable
from domain.stats import StorageState
from domain.storage.faults import StorageFault
from domain.storage.storage import StorageBudget

_TIMEOUT_S = 0.7
_BUDGET_EXCEEDED = (
    "More is stored than STORAGE_MAX_GB allows, and the history has no more days to remove. Live sessions are never "
    "removed. Raise STORAGE_MAX_GB, or lower SESSION_RETENTION_SECONDS."
)
_HISTORY_SHORTENED = (
    "The history was shortened by {} of its {} days because of STORAGE_MAX_GB. Raise STORAGE_MAX_GB, or lower "
    "HISTORY_RETENTION_DAYS."
)

Facts = Mapping[str, object]
"""The health of a component: `status` is "ok", "degraded" or "failing", the rest is for people."""


@define(eq=False)
class DatabaseHealth:
    """Probes of the database, its schema, writes, its clock, the cleanup and the storage; none raises a DomainError."""

    _gateway: Gateway
    _schema: SchemaCheck
    _clock: DisciplinedClock
    _cleanup: Cleanup | BucketCleanups
    _budget: HistoryBudget | BucketBudgets
    _write_probe: WriteProbe
    _select_connections_max: Statement
    _unknown_buckets: UnknownBuckets | None
    """For a process that knows no nodes: there must be none."""

    _connections: int
    """What all processes of the service may open together."""

    _clock_source: str
    """The server whose clock counts."""

    @property
    def required(self) -> Mapping[str, Callable[[], Awaitable[Facts]]]:
        """The probes by component; if one fails, the process must not get requests."""
        return {"postgres": self.database, "migrations": self.schema, "writes": self.writes, "clock": self.clock}

    @property
    def others(self) -> Mapping[str, Callable[[], Awaitable[Facts]]]:
        """The probes of further components."""
        return {"cleanup": self.cleanup, "storage": self.storage}

    async def database(self) -> Facts:
        """Return whether the server responds, and whether it grants the connections that the service may open."""
        pool = self._gateway.stats()
        facts: dict[str, object] = {
            "pool": {"open": pool.pool_size, "max": pool.pool_size_max, "idle": pool.pool_idle},
            "waiting": pool.pool_waiting,
            "in_flight": pool.in_flight,
            "clock_offset_ms": self._clock.offset_ms,
            "clock_error_bound_ms": self._clock.error_bound_ms,
        }
        started_s = time.monotonic()
        try:
            ((connections_max,),) = await self._gateway.fetch(self._select_connections_max, {}, timeout_s=_TIMEOUT_S)
        except StorageUnavailable as error:
            return {**failing(error), **facts}
        except DomainError as error:
            return {"status": "failing", "reason": error.message, **facts}
        facts["latency_ms"] = round((time.monotonic() - started_s) * 1000, 3)
        if self._connections > connections_max:
            reason = f"DB_POOL_MAX x WEB_CONCURRENCY is {self._connections}, and the server grants {connections_max}"
            return {"status": "degraded", "reason": reason, **facts}
        return {"status": "ok", **facts}

    async def schema(self) -> Facts:
        """Return whether migrations are pending, and those of a newer release, beside which this one works."""
        try:
            state = await self._schema.state()
            has_unknown = not state.pending and await self._has_unknown_buckets()
        except (DomainError, MigrationsDiffer) as error:
            return {"status": "failing", "reason": str(error)}
        if state.pending:
            pending = [str(step) for step in state.pending]
            return {"status": "failing", "reason": StorageFault.SCHEMA_MISSING.message, "pending": pending}
        if has_unknown:
            return {"status": "failing", "reason": StorageFault.NODES_UNKNOWN.message}
        newer = [str(each) for each in state.newer]
        return {"status": "ok", "newer": newer} if newer else {"status": "ok"}

    async def _has_unknown_buckets(self) -> bool:
        return self._unknown_buckets is not None and await self._unknown_buckets.look()

    async def writes(self) -> Facts:
        """Return whether the database accepts writes."""
        return await self._write_probe.facts()

    async def clock(self) -> Facts:
        """Return how precisely the time is known."""
        if self._clock.reason is not None:
            return {"status": "failing", "reason": self._clock.reason, "source": self._clock_source}
        return {
            "status": "ok",
            "source": self._clock_source,
            "offset_ms": self._clock.offset_ms,
            "error_bound_ms": self._clock.error_bound_ms,
            "correction_ms": self._clock.correction_ms,
        }

    async def cleanup(self) -> Facts:
        """Return how far cleanup is behind, and in which buckets its last run failed."""
        return _cleanup_facts(self._cleanup.stats())

    async def storage(self) -> Facts:
        """Return the last survey of the storage, made by cleanup; before the first one there are no sizes."""
        state, budget = self._budget.state, self._budget.budget
        if state is None:
            return {"status": "ok", "budget_bytes": budget.size_max_bytes, "measured_at": None}
        return {
            **_storage_status(state, budget),
            "measured_at": state.measured_at,
            "stored_bytes": state.stored.size_bytes,
            "budget_bytes": budget.size_max_bytes,
            "parts_bytes": {part.value: amount.size_bytes for part, amount in state.stored.parts.items()},
            "history_kept_days": state.stored.history_days(state.measured_at),
            "history_retention_days": budget.history_days,
            "shortened": [
                {"day": each.day, "shortened_at": each.shortened_at, "size_bytes": each.size_bytes}
                for each in state.shortened
            ],
        }


def _cleanup_facts(stats: CleanupStats) -> Facts:
    failing = [
        {"bucket": each.bucket, "failing_seconds": round(each.seconds, 1), "reason": each.reason}
        for each in stats.failures
    ]
    facts = {"oldest_expired_seconds": stats.lag_s, "last_run_at": stats.last_run_at, "failing": failing}
    if not failing:
        return {"status": "ok", **facts}
    return {"status": "degraded", "reason": " ".join(_why_failing(each) for each in stats.failures), **facts}


def _why_failing(failure: CleanupFailure) -> str:
    where = "" if failure.bucket is None else f" of bucket {failure.bucket}"
    return f"The cleanup{where} has failed for {failure.seconds:.0f} s: {failure.reason}"


def _storage_status(state: StorageState, budget: StorageBudget) -> Facts:
    if state.is_exceeded:
        return {"status": "degraded", "reason": _BUDGET_EXCEEDED}
    if state.shortened:
        reason = _HISTORY_SHORTENED.format(len(state.shortened), budget.history_days)
        return {"status": "degraded", "reason": reason}
    return {"status": "ok"}
