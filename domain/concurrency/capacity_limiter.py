"""A bounded number of concurrent calls, shared fairly among owners."""

from collections.abc import Callable

from domain.errors import Overloaded, QuotaReached
from domain.identity import ANONYMOUS, Owner

SHARE = 4
"""An owner may hold this many times what is free.

A lone owner gets four fifths of the capacity. Several owners get equal parts of nearly all of it. An owner that holds
nothing gets a permit whenever one is free.
"""


def is_fair(held: int, in_use: int, capacity: int) -> bool:
    """Return whether an owner that holds `held` of the `in_use` permits may have one more.

    The share shrinks with the free capacity. An owner above its share keeps what it holds, and gets no more until it
    is below the share (dynamic thresholds, Choudhury and Hahne 1998).
    """
    return held < SHARE * (capacity - in_use)


def _none_elsewhere(_: Owner) -> int:
    return 0


class CapacityLimiter:
    """Permits for `capacity` concurrent calls, with a fair share for each owner.

    `name` says in errors what is limited, with an article. One owner may hold `owner_max` permits, here and `elsewhere`
    together. ANONYMOUS, the only owner while authentication is off, has no share to keep.
    """

    def __init__(
        self,
        name: str,
        capacity: int,
        owner_max: int | None = None,
        elsewhere: Callable[[Owner], int] = _none_elsewhere,
    ) -> None:
        self._name = name
        self._capacity = capacity
        self._owner_max = owner_max
        self._elsewhere = elsewhere
        self._held: dict[Owner, int] = {}
        self.in_use = 0

    def held_by(self, owner: Owner) -> int:
        """Return how many permits the owner holds."""
        return self._held.get(owner, 0)

    def acquire(self, owner: Owner) -> None:
        """Take a permit; raises Overloaded when none is free, QuotaReached when the owner may have no more."""
        if self.in_use >= self._capacity:
            raise Overloaded(self._name)
        held = self._held.get(owner, 0)
        if self._owner_max is not None:
            everywhere = held + self._elsewhere(owner)
            if everywhere >= self._owner_max:
                raise QuotaReached("concurrent_calls", self._owner_max, everywhere, self._name, retry_after_ms=1000)
        if owner != ANONYMOUS and not is_fair(held, self.in_use, self._capacity):
            raise QuotaReached("fair_share", held, held, self._name, retry_after_ms=1000)
        self._held[owner] = held + 1
        self.in_use += 1

    def release(self, owner: Owner) -> None:
        """Return a permit."""
        self.in_use -= 1
        held = self._held[owner] - 1
        if held:
            self._held[owner] = held
        else:
            del self._held[owner]

    def hold(self, owner: Owner = ANONYMOUS) -> "Permit":
        """Return a context that holds a permit; entering it raises what `acquire` raises."""
        return Permit(self, owner)


class Permit:
    """A permit that is held within a `with`. A generator would cost every call three times as much."""

    __slots__ = ("_limiter", "_owner")

    def __init__(self, limiter: CapacityLimiter, owner: Owner) -> None:
        self._limiter = limiter
        self._owner = owner

    def __enter__(self) -> None:
        self._limiter.acquire(self._owner)

    def __exit__(self, *_: object) -> None:
        self._limiter.release(self._owner)
