"""The rate of callers whom no credential identifies, by address."""

import ipaddress
from collections.abc import Callable

from attrs import define, field

from domain.limits.rate import RateDecision, RateLimited, RatePolicy, judge

UNKNOWN = "unknown"
"""The name of the policy."""

_PREFIX_BITS = 64
_NO_ADDRESS = ""


@define(eq=False)
class UnknownCallers:
    """Counts requests in this process alone, so that no request of an unknown caller writes to the database.

    An IPv6 address stands for its network of 64 bits, which one subscriber has. Callers without an address are one.
    When `addresses_max` are counted, the one that has not called for the longest time is forgotten.
    """

    policy: RatePolicy
    _monotonic_ns: Callable[[], int]
    _addresses_max: int = 20_000
    refusals: int = field(default=0, init=False)
    _full_at_ns: dict[str, int] = field(factory=dict, init=False)

    def charge(self, address: str | None) -> RateDecision:
        """Count a request of the address. Raises RateLimited; a rejected request is not counted."""
        caller, now_ns = _caller_at(address), self._monotonic_ns()
        decision = judge(self.policy, self._full_at_ns.pop(caller, now_ns), now_ns)
        if len(self._full_at_ns) >= self._addresses_max:
            del self._full_at_ns[next(iter(self._full_at_ns))]
        self._full_at_ns[caller] = decision.full_at_ns
        if not decision.allowed:
            self.refusals += 1
            raise RateLimited(self.policy, decision)
        return decision


def _caller_at(address: str | None) -> str:
    if address is None or ":" not in address:
        return address or _NO_ADDRESS
    try:
        return str(ipaddress.ip_network((address.partition("%")[0], _PREFIX_BITS), strict=False))
    except ValueError:
        return address
