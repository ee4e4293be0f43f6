"""The quotas of one owner in one process: what a session needs of each, and why one is refused."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from attrs import define

from domain.errors import QuotaReached
from domain.limits.ports import OwnerUsage
from domain.limits.reservation import Reservation

LIVE_SESSIONS, STORED_BYTES = "live_sessions", "stored_bytes"
"""Names of quotas."""

Needs = Sequence[tuple[str, Reservation, int]]
"""Names of quotas, and how much of each a session needs."""


@define(eq=False)
class OwnerQuotas:
    """Reservations of live sessions and of stored bytes; None is no quota.

    `counted_at_s` is an instant of the process's own clock, which the common clock was `ahead_s` of at that time.
    `failed_at_s` is when the last exchange failed; -inf if it did not.
    """

    sessions: Reservation | None
    stored: Reservation | None
    counted_at_s: float = float("-inf")
    ahead_s: float = 0.0
    failed_at_s: float = float("-inf")

    @property
    def reservations(self) -> Mapping[str, Reservation]:
        """The reservations by the names of quotas."""
        found = {LIVE_SESSIONS: self.sessions, STORED_BYTES: self.stored}
        return {name: each for name, each in found.items() if each is not None}

    @property
    def is_held(self) -> bool:
        """Whether this process has reserved something, or needs to."""
        return any(each.is_held for each in self.reservations.values())

    def needs(self, size: int, *, hidden: bool) -> Needs:
        """Return what a session of `size` bytes needs; of a hidden one only the bytes count."""
        amounts = {STORED_BYTES: size} if hidden else {LIVE_SESSIONS: 1, STORED_BYTES: size}
        reservations = self.reservations
        return [(name, reservations[name], amount) for name, amount in amounts.items() if name in reservations]

    def allows(self, size: int, now_s: float, *, hidden: bool) -> bool:
        """Return whether enough is reserved for a session, at an instant of the process's own clock."""
        common_s = now_s + self.ahead_s
        if self.sessions is not None and not hidden and not self.sessions.allows(1, common_s):
            return False
        return self.stored is None or self.stored.allows(size, common_s)

    def begin(self, size: int, *, hidden: bool) -> None:
        """Note that a session is being made."""
        if self.sessions is not None and not hidden:
            self.sessions.begin(1)
        if self.stored is not None:
            self.stored.begin(size)

    def end(self, size: int, *, hidden: bool, stored: bool) -> None:
        """Note that the session is stored, or will not be."""
        if self.sessions is not None and not hidden:
            self.sessions.end(1, stored=stored)
        if self.stored is not None:
            self.stored.end(size, stored=stored)

    def retire(self) -> None:
        """Note that no further session will be made."""
        for each in self.reservations.values():
            each.retire()

    def count_begins(self) -> None:
        """Note that what is stored by now will be counted."""
        for each in self.reservations.values():
            each.count_begins()

    def counted(self, usage: OwnerUsage) -> Iterator[tuple[str, Reservation, int]]:
        """Return the reservations with what was counted of each."""
        counts = {LIVE_SESSIONS: usage.live_sessions, STORED_BYTES: usage.stored_bytes}
        return ((name, each, counts[name]) for name, each in self.reservations.items())


def refusal(needs: Needs) -> QuotaReached | None:
    """Return why the owner has no room, as far as this process knows; what others have reserved is not counted."""
    for name, each, amount in needs:
        if each.used + amount > each.limit:
            return QuotaReached(name, each.limit, each.used)
    return None


def late_refusal(needs: Needs) -> QuotaReached:
    """Return the refusal of a call that has waited for what others have reserved."""
    short = [need for need in needs if need[1].left < need[2]]
    name, each, _ = (short or needs)[0]
    return QuotaReached(name, each.limit, each.taken, retry_after_ms=1000)


@contextlib.contextmanager
def waiting(needs: Needs) -> Iterator[None]:
    """Return a context in which the next exchanges reserve what is needed."""
    for _, each, amount in needs:
        each.waiting += amount
    try:
        yield
    finally:
        for _, each, amount in needs:
            each.waiting -= amount
