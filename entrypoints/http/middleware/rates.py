"""The guard of rate limits, and the headers that report them.

The headers are those of draft-ietf-httpapi-ratelimit-headers: lists of structured fields.
"""

from collections.abc import Mapping, Sequence

from attrs import frozen
from typing_extensions import override

from domain.limits.rate import RateDecision, RateLimited, RatePolicy
from domain.limits.rate_limiter import RateLimiter
from domain.limits.unknown_callers import UnknownCallers
from entrypoints.http.pipeline import Guard
from entrypoints.http.request import Header, Request
from entrypoints.http.response import Headers
from entrypoints.http.route import Route

_NAMES = frozenset({b"ratelimit", b"ratelimit-policy"})
_NS_PER_S = 1_000_000_000


@frozen
class RateHeaders:
    """The headers of one policy; what is the same for every call is encoded once."""

    policy: RatePolicy
    policy_header: Header
    _name: bytes

    @classmethod
    def of(cls, policy: RatePolicy) -> "RateHeaders":
        """Return the headers of a policy. `RateLimit-Policy` says: `q` calls in `w` seconds."""
        name = policy.name.encode()
        return cls(policy, (b"ratelimit-policy", b'"%s";q=%d;w=%d' % (name, policy.count, policy.window_s)), name)

    def after(self, decision: RateDecision) -> Headers:
        """Return both headers. `RateLimit` says: `r` calls are left, and one more in `t` seconds, rounded up.

        For a rejected call, `t` is the time until it would be admitted.
        """
        limit = b'"%s";r=%d;t=%d' % (self._name, decision.remaining, -(-decision.wait_ns // _NS_PER_S))
        return self.policy_header, (b"ratelimit", limit)


class RateGuard(Guard):
    """Counts each request of an owner under the policy of its route class. It runs after authentication."""

    def __init__(self, limiter: RateLimiter, policies: Sequence[RatePolicy]) -> None:
        self._limiter = limiter
        self._headers: Mapping[str | None, RateHeaders] = {policy.name: RateHeaders.of(policy) for policy in policies}

    @override
    async def admit(self, request: Request, route: Route) -> Headers:
        headers = self._headers.get(route.route_class)
        if headers is None:
            return ()
        try:
            return headers.after(self._limiter.charge(request.caller.owner, headers.policy, 1))
        except RateLimited as error:
            request.response_headers += headers.after(error.decision)
            raise

    async def charge(self, request: Request, items: int) -> None:
        """Count an admitted request as one call for each of its items.

        Raises RateLimited. Then the request stays one call, so its repetition must be granted that one again.
        """
        headers = self._headers.get(request.route.route_class)
        if headers is None or items <= 1:
            return
        request.response_headers = tuple(header for header in request.response_headers if header[0] not in _NAMES)
        try:
            decision = self._limiter.charge(request.caller.owner, headers.policy, items - 1)
        except RateLimited as error:
            decision = error.decision._replace(wait_ns=error.decision.wait_ns + headers.policy.interval_ns)
            request.response_headers += headers.after(decision)
            raise RateLimited(headers.policy, decision, items) from None
        request.response_headers += headers.after(decision)


class UnknownCallerGuard(Guard):
    """Counts each request of a limited class by its client's address, while no caller shows a credential."""

    def __init__(self, callers: UnknownCallers) -> None:
        self._callers = callers
        self._headers = RateHeaders.of(callers.policy)

    @override
    async def admit(self, request: Request, route: Route) -> Headers:
        if route.route_class is not None:
            self.charge(request)
        return ()

    def charge(self, request: Request) -> None:
        """Count the request, and report the rate in its response; raises RateLimited."""
        try:
            request.response_headers += self._headers.after(self._callers.charge(request.client))
        except RateLimited as error:
            request.response_headers += self._headers.after(error.decision)
            raise
