"""Limits of rate at the door."""

from collections.abc import Mapping, Sequence

from typing_extensions import override

from domain.rate import RatePolicy
from domain.rate_limiter import RateLimiter
from entrypoints.http.answer import Headers
from entrypoints.http.guards import Guard
from entrypoints.http.rate_headers import rate_headers
from entrypoints.http.request import Request
from entrypoints.http.routes import Operation

_NAMES = frozenset({b"ratelimit", b"ratelimit-policy"})


class RateGuard(Guard):
    """Counts each request under the policy of its operation's class, by owner; it stands behind authentication."""

    def __init__(self, limiter: RateLimiter, policies: Sequence[RatePolicy]) -> None:
        self._limiter = limiter
        self._policies: Mapping[str | None, RatePolicy] = {policy.name: policy for policy in policies}

    @override
    async def admit(self, request: Request, operation: Operation) -> Headers:
        policy = self._policies.get(operation.route_class)
        return () if policy is None else self._charged(policy, request, 1)

    async def charge(self, request: Request, items: int) -> None:
        """Count a request that was admitted as one call for each of its items.

        Raises RateLimited, and then it stays one call.
        """
        policy = self._policies.get(request.operation.route_class)
        if policy is not None and items > 1:
            request.answer_headers = tuple(header for header in request.answer_headers if header[0] not in _NAMES)
            request.answer_headers += self._charged(policy, request, items - 1)

    def _charged(self, policy: RatePolicy, request: Request, count: int) -> Headers:
        verdict = self._limiter.charge(request.caller.owner, policy.name, count)
        return () if verdict is None else rate_headers(policy, verdict)
