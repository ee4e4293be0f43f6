"""Places that calls hold while they are inside, shared out fairly among owners."""

from collections.abc import Callable

from domain.errors import Overloaded
from domain.identity import ANONYMOUS, Owner
from domain.limits.quota import QuotaReached

SHARE = 4
"""An owner may hold up to this many times what is free: four fifths of the places when alone, an equal part of nearly
all of them among others, and whoever holds nothing finds a place as long as there is one."""


def is_fair(held: int, taken: int, size_max: int) -> bool:
    """Tell whether an owner who holds `held` of the `taken` places may take one more.

    What is free shrinks as others take places, and with it what each may hold; who holds more than that is not cut
    short, and gets no more until it is within it again (dynamic thresholds, Choudhury and Hahne 1998).
    """
    return held < SHARE * (size_max - taken)


def _nowhere(_: Owner) -> int:
    return 0


class CapacityLimiter:
    """A bounded number of calls that may be inside at once; each owner has a fair share of them.

    `owner_max` is what one owner may hold at most, here and `elsewhere` together. While authentication is off everybody
    is one owner, who has nobody to share with.
    """

    def __init__(
        self,
        name: str,
        size_max: int,
        owner_max: int | None = None,
        elsewhere: Callable[[Owner], int] = _nowhere,
    ) -> None:
        self._name = name
        self._size_max = size_max
        self._owner_max = owner_max
        self._elsewhere = elsewhere
        self._held: dict[Owner, int] = {}
        self.taken = 0

    def held_by(self, owner: Owner) -> int:
        """Return how many places the owner holds."""
        return self._held.get(owner, 0)

    def enter(self, owner: Owner) -> None:
        """Take a place; raises Overloaded when there is none, QuotaReached when the owner has theirs."""
        if self.taken >= self._size_max:
            raise Overloaded(self._name)
        held = self._held.get(owner, 0)
        if self._owner_max is not None:
            inside = held + self._elsewhere(owner)
            if inside >= self._owner_max:
                raise QuotaReached("concurrent_calls", self._owner_max, inside, self._name, retry_after_ms=1000)
        if owner != ANONYMOUS and not is_fair(held, self.taken, self._size_max):
            raise QuotaReached("fair_share", held, held, self._name, retry_after_ms=1000)
        self._held[owner] = held + 1
        self.taken += 1

    def exit(self, owner: Owner) -> None:
        """Give a place back."""
        self.taken -= 1
        held = self._held[owner] - 1
        if held:
            self._held[owner] = held
        else:
            del self._held[owner]

    def hold(self, owner: Owner = ANONYMOUS) -> "Permit":
        """Hold a place within a `with`, for nobody in particular or for an owner; entering it raises as `enter` does."""
        return Permit(self, owner)


class Permit:
    """A place that is held within a `with`; a generator would cost three times as much, in the way of every call."""

    __slots__ = ("_owner", "_places")

    def __init__(self, places: CapacityLimiter, owner: Owner) -> None:
        self._places = places
        self._owner = owner

    def __enter__(self) -> None:
        self._places.enter(self._owner)

    def __exit__(self, *_: object) -> None:
        self._places.exit(self._owner)
