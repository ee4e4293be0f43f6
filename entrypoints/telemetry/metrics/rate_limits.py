"""Metrics of rate limits."""

from collections.abc import Iterable

from attrs import define
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from domain.limits.rate_limiter import RateLimiter
from entrypoints.telemetry.metrics.instruments import counter, gauge

_ACCOUNTS = gauge("pglambda_rate_limit_accounts", "Rate balances in memory, one for each owner and policy.")
_SETTLEMENTS = counter(
    "pglambda_rate_limit_settlements_total", "Exchanges of rate balances with the database, by outcome.", "outcome"
)
_REJECTIONS = counter(
    "pglambda_rate_limit_rejections_total", "Calls that were rejected by a rate limit, by policy.", "policy"
)


@define(eq=False)
class RateLimitMetrics(Collector):
    """Reads the rate limiter; without one the families have no samples."""

    _limiter: RateLimiter | None

    @override
    def collect(self) -> Iterable[Metric]:
        limiter = self._limiter
        outcomes = {} if limiter is None else {"succeeded": limiter.settlements, "failed": limiter.failures}
        refusals = {} if limiter is None else limiter.refusals
        yield _ACCOUNTS.single(None if limiter is None else len(limiter))
        yield _SETTLEMENTS.metric(((outcome,), count) for outcome, count in outcomes.items())
        yield _REJECTIONS.metric(((policy,), count) for policy, count in refusals.items())
