"""Which idle slots an owner may evict for another one, in the order of eviction."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Protocol, TypeVar

from attrs import define, field

from domain.identity import ANONYMOUS, Owner

_FRESH_S = 60.0
"""A warm worker that was not used for this long is evicted even if its owner has few."""
_IDLE_PER_ABSENCE = 2.0
"""A slot that was idle for so many times as long as an evicted session was away makes room for that session."""
_REMEMBERED_PER_SLOT = 4
"""With as many sessions in turn for each slot, three quarters of the executions are cold in any case."""


class IdleSlot(Protocol):
    """What the order depends on."""

    session: int
    owner: Owner
    idle_since: float
    runs: int


Idle = TypeVar("Idle", bound=IdleSlot)


@define(eq=False)
class EvictedSessions:
    """The sessions that were evicted last, four for each of `slots_max`, and when each was last used."""

    slots_max: int
    _last_used: dict[int, float] = field(factory=dict, init=False)

    def add(self, slot: IdleSlot) -> None:
        """Remember the session of a slot that is evicted."""
        self._last_used.pop(slot.session, None)
        self._last_used[slot.session] = slot.idle_since
        if len(self._last_used) > _REMEMBERED_PER_SLOT * self.slots_max:
            del self._last_used[next(iter(self._last_used))]

    def order(self, slots: "dict[Idle, None] | list[Idle]", session: int | None, now: float) -> Iterable[Idle]:
        """Return slots, of which the least recently used is first, in the order of eviction for this session.

        They keep their order, unless the session was evicted while the least recently used slot was already idle, or
        not long before. Then more sessions than slots seem to be used in turn, and that slot would be needed next. So
        the newest slots that were used only once go first, and the others stay.
        """
        oldest = next(iter(slots), None)
        last_used = None if session is None else self._last_used.get(session)
        if oldest is None or last_used is None or now - oldest.idle_since > _IDLE_PER_ABSENCE * (now - last_used):
            return slots
        return chain((slot for slot in reversed(slots) if slot.runs <= 1), (slot for slot in slots if slot.runs > 1))


def groups(
    owner: Owner, idle: "dict[Idle, None]", held: Mapping[Owner, int], running: int, now: float
) -> "Iterator[dict[Idle, None] | list[Idle]]":
    """Yield the idle slots that the owner may evict for a new one, in groups in the order of eviction.

    `held` counts the slots of each owner, and `running` the owner's running ones.

    First come slots of owners who hold more than an equal part, and slots not used for a while. Then come the owner's
    own. All others follow only while fewer of the owner's executions run than slots are idle in all. So workers that
    others keep warm survive a flood.
    """
    if owner == ANONYMOUS:
        yield idle
        return
    part = sum(held.values()) / (len(held) + (owner not in held))
    first: list[Idle] = []
    protected: list[Idle] = []
    for slot in idle:
        is_first = held[slot.owner] > part or slot.idle_since <= now - _FRESH_S
        (first if is_first else protected).append(slot)
    yield first
    yield [slot for slot in protected if slot.owner == owner]
    if running < len(idle):
        yield [slot for slot in protected if slot.owner != owner]
