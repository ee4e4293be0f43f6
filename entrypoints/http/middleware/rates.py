"""Limits of rate at the door."""

from collections.abc import Mapping, Sequence

from attrs import frozen
from typing_extensions import override

from domain.limits.rate import RateLimited, RatePolicy
from domain.limits.rate_limiter import RateLimiter
from entrypoints.http.middleware.guard import Guard
from entrypoints.http.middleware.rate_headers import limit_header, policy_header
from entrypoints.http.request import Header, Request
from entrypoints.http.response import Headers
from entrypoints.http.route import Route

_NAMES = frozenset({b"ratelimit", b"ratelimit-policy"})


@frozen
class _Rate:
    """A policy, and what is always the same when it is told of."""

    policy: RatePolicy
    name: bytes
    header: Header

    @classmethod
    def of(cls, policy: RatePolicy) -> "_Rate":
        return cls(policy, policy.name.encode(), policy_header(policy))


class RateGuard(Guard):
    """Counts each request under the policy of its operation's class, by owner; it stands behind authentication."""

    def __init__(self, limiter: RateLimiter, policies: Sequence[RatePolicy]) -> None:
        self._limiter = limiter
        self._rates: Mapping[str | None, _Rate] = {policy.name: _Rate.of(policy) for policy in policies}

    @override
    async def admit(self, request: Request, operation: Route) -> Headers:
        rate = self._rates.get(operation.route_class)
        return () if rate is None else self._charged(rate, request, 1)

    async def charge(self, request: Request, items: int) -> None:
        """Count a request that was admitted as one call for each of its items.

        Raises RateLimited, and then it stays one call; sent again, it is to be granted that one anew.
        """
        rate = self._rates.get(request.operation.route_class)
        if rate is not None and items > 1:
            request.answer_headers = tuple(header for header in request.answer_headers if header[0] not in _NAMES)
            try:
                request.answer_headers += self._charged(rate, request, items - 1)
            except RateLimited as refused:
                wait_ns = refused.verdict.wait_ns + rate.policy.interval_ns
                raise RateLimited(rate.policy, refused.verdict._replace(wait_ns=wait_ns), items) from None

    def _charged(self, rate: _Rate, request: Request, count: int) -> Headers:
        verdict = self._limiter.charge(request.caller.owner, rate.policy, count)
        return rate.header, limit_header(rate.name, verdict)
