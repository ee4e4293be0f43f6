"""How a controller's parts are, for people and for load balancers."""

import time
from collections.abc import Mapping

from attrs import define
from typing_extensions import override

from adapters.postgres.clock.disciplined import DisciplinedClock
from adapters.postgres.gateway import Gateway
from adapters.postgres.migrations.schema import SchemaCheck
from adapters.postgres.retention.cleanup import Cleanup
from adapters.postgres.retention.history_budget import HistoryBudget
from adapters.postgres.statements import Statements
from domain.errors import DomainError
from entrypoints.composition.runners import Runners
from entrypoints.composition.security import Security
from entrypoints.composition.storage_facts import storage_facts
from entrypoints.http.endpoints.health import HealthChecks, Probe
from entrypoints.version import VERSION

_PROBE_TIMEOUT_S = 0.7


@define(eq=False)
class HealthReport(HealthChecks):
    """Asks the database, the clock, the runners and the cleanup."""

    _gateway: Gateway
    _statements: Statements
    _clock: DisciplinedClock
    _schema: SchemaCheck
    _cleanup: Cleanup
    _storage: HistoryBudget
    _runners: Runners
    _connections: int
    """What all processes may open together."""
    _security: Security

    @property
    @override
    def version(self) -> str:
        return VERSION

    @property
    @override
    def required(self) -> Mapping[str, Probe]:
        return {"postgres": self._ask_database, "migrations": self._ask_schema, "clock": self._ask_clock}

    @property
    @override
    def components(self) -> Mapping[str, Probe]:
        runtimes = {f"runtimes.{language}": runner.health for language, runner in self._runners.by_language.items()}
        sandbox = self._runners.sandbox.health if self._runners.sandbox else _sandbox_elsewhere
        return {
            **self.required,
            **runtimes,
            "sandbox": sandbox,
            "cleanup": self._ask_cleanup,
            "storage": self._ask_storage,
            **self._security.components,
        }

    async def _ask_database(self) -> Mapping[str, object]:
        pool = self._gateway.stats()
        facts: dict[str, object] = {
            "pool": {"open": pool.pool_size, "max": pool.pool_size_max, "idle": pool.pool_idle},
            "waiting": pool.pool_waiting,
            "in_flight": pool.in_flight,
            "clock_offset_ms": self._clock.offset_ms,
            "clock_error_bound_ms": self._clock.error_bound_ms,
        }
        started_s = time.monotonic()
        limit = self._statements.server.select_connections_max
        try:
            ((connections_max,),) = await self._gateway.fetch(limit, {}, timeout_s=_PROBE_TIMEOUT_S)
        except DomainError as error:
            return {"status": "failing", "reason": error.message, **facts}
        facts["latency_ms"] = round((time.monotonic() - started_s) * 1000, 3)
        if self._connections > connections_max:
            reason = f"DB_POOL_MAX x WEB_CONCURRENCY is {self._connections}, and the server grants {connections_max}"
            return {"status": "degraded", "reason": reason, **facts}
        return {"status": "ok", **facts}

    async def _ask_schema(self) -> Mapping[str, object]:
        try:
            pending = await self._schema.pending()
        except DomainError as error:
            return {"status": "failing", "reason": error.message}
        if pending:
            return {"status": "failing", "reason": "run `pglambda migrate up`", "pending": pending}
        return {"status": "ok"}

    async def _ask_clock(self) -> Mapping[str, object]:
        if self._clock.reason is not None:
            return {"status": "failing", "reason": self._clock.reason}
        return {"status": "ok", "offset_ms": self._clock.offset_ms, "error_bound_ms": self._clock.error_bound_ms}

    async def _ask_cleanup(self) -> Mapping[str, object]:
        stats = self._cleanup.stats()
        return {"status": "ok", "oldest_expired_seconds": stats.lag_s}

    async def _ask_storage(self) -> Mapping[str, object]:
        return storage_facts(self._storage)


async def _sandbox_elsewhere() -> Mapping[str, object]:
    return {"status": "ok", "layers": {}, "reason": "scripts run on runtime hosts, which tell of theirs"}
