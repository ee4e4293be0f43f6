"""Metrics of callers: their rates, and API keys that end soon."""

from collections.abc import Iterable

from attrs import define
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from domain.access.authentication import KeyRing
from domain.limits.rate_limiter import RateLimiter
from domain.limits.unknown_callers import UNKNOWN, UnknownCallers
from entrypoints.telemetry.metrics.instruments import counter, gauge

_ACCOUNTS = gauge("pglambda_rate_limit_accounts", "Rate balances in memory, one for each owner and policy.")
_SETTLEMENTS = counter(
    "pglambda_rate_limit_settlements_total", "Exchanges of rate balances with the database, by outcome.", "outcome"
)
_REJECTIONS = counter(
    "pglambda_rate_limit_rejections_total", "Calls that were rejected by a rate limit, by policy.", "policy"
)
_EXPIRING = gauge(
    "pglambda_api_keys_expiring", "API keys that end within 14 days and were used in this process since its start."
)


@define(eq=False)
class CallerMetrics(Collector):
    """Reads the rate limiters and the API keys in use; without one of these its families have no samples."""

    _limiter: RateLimiter | None
    _unknown: UnknownCallers | None
    _ring: KeyRing | None

    @override
    def collect(self) -> Iterable[Metric]:
        limiter = self._limiter
        outcomes = {} if limiter is None else {"succeeded": limiter.settlements, "failed": limiter.failures}
        refusals = {} if limiter is None else dict(limiter.refusals)
        if self._unknown is not None:
            refusals[UNKNOWN] = self._unknown.refusals
        yield _ACCOUNTS.single(None if limiter is None else len(limiter))
        yield _SETTLEMENTS.metric(((outcome,), count) for outcome, count in outcomes.items())
        yield _REJECTIONS.metric(((policy,), count) for policy, count in refusals.items())
        yield _EXPIRING.single(None if self._ring is None else self._ring.expiring())
