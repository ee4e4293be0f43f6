"""What owners are held to: rates, quotas and places, and who is let through the door at all."""

import random
import time
from collections.abc import Iterable, Sequence

from attrs import define, field
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from domain.clock import Clock
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.identity import Owner
from domain.limits.ports import Quotas, RateStore, Unlimited, UsageReader
from domain.limits.rate_limiter import RateLimiter
from domain.limits.usage_limiter import UsageLimiter, UsagePolicy
from entrypoints.composition.background import Work
from entrypoints.http.endpoints.batches import Charge, charge_nothing
from entrypoints.http.middleware.hosts import HostGuard
from entrypoints.http.middleware.rates import RateGuard
from entrypoints.http.pipeline import Guard
from entrypoints.settings.checks import is_loopback
from entrypoints.settings.edge import allowed_hosts, rate_policies
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.metrics.instruments import counter, gauge

_EXECUTIONS_MAX = 1024
"""Executions inside one controller at once, queued ones included."""

_MIB = 1024 * 1024

ACCOUNTS = gauge("pglambda_rate_limit_accounts", "Rate balances in memory, one for each owner and policy.")
SETTLEMENTS = counter(
    "pglambda_rate_limit_settlements_total", "Exchanges of rate balances with the database, by outcome.", "outcome"
)
REJECTIONS = counter(
    "pglambda_rate_limit_rejections_total", "Calls that were rejected by a rate limit, by policy.", "policy"
)


@define(eq=False)
class OwnerLimits(Collector):
    """Limits as the settings have them; what is not limited has no guard, and nothing runs beside requests for it."""

    _settings: Settings
    _clock: Clock
    _ledger: RateStore
    _reader: UsageReader
    inside: CapacityLimiter = field(init=False)
    rates: RateGuard | None = field(default=None, init=False)
    _limiter: RateLimiter | None = field(default=None, init=False)
    _usage: UsageLimiter | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.inside = CapacityLimiter("an execution", _EXECUTIONS_MAX)
        self._limit_rates()
        self._limit_usage()

    @property
    def quotas(self) -> Quotas:
        """What sessions are made within."""
        return Unlimited() if self._usage is None else self._usage

    @property
    def charge(self) -> Charge:
        """What batches are charged by."""
        return charge_nothing if self.rates is None else self.rates.charge

    def around(self, knowing: Sequence[Guard], asking: Sequence[Guard] = ()) -> Sequence[Guard]:
        """Return all guards; those of `knowing` find out who calls, those of `asking` may ask the database."""
        hosts = allowed_hosts(self._settings, is_near=is_loopback(self._settings.host))
        outer = (HostGuard(hosts),) if hosts else ()
        inner = () if self.rates is None else (self.rates,)
        return (*outer, *knowing, *inner, *asking)

    def _inside_here(self, owner: Owner) -> int:
        return self.inside.held_by(owner)

    @override
    def collect(self) -> Iterable[Metric]:
        limiter = self._limiter
        outcomes = {} if limiter is None else {"succeeded": limiter.settlements, "failed": limiter.failures}
        refusals = {} if limiter is None else limiter.refusals
        yield ACCOUNTS.single(None if limiter is None else len(limiter))
        yield SETTLEMENTS.metric(((outcome,), count) for outcome, count in outcomes.items())
        yield REJECTIONS.metric(((policy,), count) for policy, count in refusals.items())

    def works(self) -> Sequence[Work]:
        """Return what is to run beside requests."""
        return [each.run for each in (self._limiter, self._usage) if each is not None]

    def _limit_rates(self) -> None:
        policies = rate_policies(self._settings.rate_limits)
        if policies:
            self._limiter = RateLimiter(self._ledger, self._clock, time.monotonic_ns, random.uniform)
            self.rates = RateGuard(self._limiter, policies)

    def _limit_usage(self) -> None:
        settings = self._settings
        stored_mb, concurrent = settings.max_stored_mb_per_owner, settings.max_concurrent_per_owner
        policy = UsagePolicy(settings.max_sessions_per_owner, stored_mb and stored_mb * _MIB)
        if policy.counts_stored or concurrent is not None:
            self._usage = UsageLimiter(policy, self._reader, self._clock, time.monotonic_ns, self._inside_here)
            self.inside = CapacityLimiter("an execution", _EXECUTIONS_MAX, concurrent, self._usage.calls_elsewhere)
