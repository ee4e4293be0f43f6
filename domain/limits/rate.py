"""Rates: the generic cell rate algorithm as a rule of (policy, state, now)."""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from attrs import define, field, frozen
from attrs.validators import ge

from domain.errors import LimitReached

_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000


@frozen
class RatePolicy:
    """At most `count` calls at once; as many are refilled over `window_s` seconds, evenly.

    The rule counts in whole nanoseconds, so that rounding neither adds nor removes a call. `interval_ns` is the cost of
    one call (rounded up), `quota_ns` the cost of all of them.
    """

    name: str
    count: int = field(validator=ge(1))
    window_s: int = field(validator=ge(1))
    interval_ns: int = field(init=False)
    quota_ns: int = field(init=False)

    @interval_ns.default
    def _interval_ns(self) -> int:
        return -(-self.window_s * _NS_PER_S // max(1, self.count))  # validators run after defaults

    @quota_ns.default
    def _quota_ns(self) -> int:
        return self.count * self.interval_ns


class RateDecision(NamedTuple):
    """The judgement of one call, and the owner's new state.

    `full_at_ns` is the instant at which the whole quota is available again. `remaining` calls may follow at once.
    `wait_ns` is the time until one more call is refilled, or, for a rejected call, until it would be allowed.
    """

    allowed: bool
    full_at_ns: int
    remaining: int
    wait_ns: int


def judge(policy: RatePolicy, full_at_ns: int, now_ns: int, cost: int = 1) -> RateDecision:
    """Judge a call that counts as `cost` calls; a rejected call costs nothing.

    The state is one instant, at which the whole quota is available again: the theoretical arrival time of the generic
    cell rate algorithm (ITU-T I.371). A past instant means that nothing is used.
    """
    quota_ns, interval_ns = policy.quota_ns, policy.interval_ns
    used_ns = max(0, full_at_ns - now_ns)
    left_ns = quota_ns - used_ns - cost * interval_ns
    if left_ns >= 0:
        remaining, over_ns = divmod(left_ns, interval_ns)
        wait_ns = interval_ns - over_ns if remaining < policy.count else 0
        return RateDecision(True, now_ns + quota_ns - left_ns, remaining, wait_ns)
    remaining = max(0, quota_ns - used_ns) // interval_ns
    return RateDecision(False, full_at_ns, remaining, -left_ns)


@define(eq=False)
class RateLimited(LimitReached):
    """The owner calls more often than the policy allows; nothing was counted."""

    code: ClassVar[str] = "RATE_LIMITED"
    policy: RatePolicy
    decision: RateDecision
    cost: int = 1

    @property
    def retry_after_ms(self) -> int | None:
        """Milliseconds until the same call would be allowed; None if it costs more than the whole quota."""
        return None if self.cost > self.policy.count else -(-self.decision.wait_ns // _NS_PER_MS)

    @property
    def message(self) -> str:
        quota = f"{self.policy.count} calls of {self.policy.name} in {self.policy.window_s} s"
        if self.retry_after_ms is None:
            return f"The call counts as {self.cost} calls, and the limit is {quota}. Send it in smaller parts."
        left = self.decision.remaining
        state = f"the call counts as {self.cost} while {left} are left" if left else "none are left"
        return f"The limit is {quota}, and {state}. Repeat the call after {self.retry_after_ms} ms."

    @property
    def details(self) -> Mapping[str, object]:
        facts: dict[str, object] = {
            "limit": "rate",
            "policy": self.policy.name,
            "allowed": self.policy.count,
            "window_seconds": self.policy.window_s,
            "cost": self.cost,
            "remaining": self.decision.remaining,
        }
        return facts if self.retry_after_ms is None else facts | {"retry_after_ms": self.retry_after_ms}
