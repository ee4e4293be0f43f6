"""Which idle slots an owner may evict for another one, in the order of eviction."""

from collections.abc import Collection, Iterator, Mapping
from typing import Protocol, TypeVar

from domain.identity import ANONYMOUS, Owner

_FRESH_S = 60.0
"""A warm worker that was not used for this long is evicted even if its owner has few."""


class IdleSlot(Protocol):
    """What the order depends on."""

    owner: Owner
    idle_since: float


Idle = TypeVar("Idle", bound=IdleSlot)


def evictable(
    owner: Owner, idle: Collection[Idle], held: Mapping[Owner, int], running: int, now: float
) -> Iterator[Idle]:
    """Yield the idle slots that the owner may evict for a new one, in the order of eviction.

    `held` counts the slots of each owner, and `running` the owner's running ones.

    First come slots of owners who hold more than an equal part, and slots not used for a while. Then come the owner's
    own. All others follow only while fewer of the owner's executions run than slots are idle in all. Within each group,
    the order of `idle` is kept. So workers that others keep warm survive a flood.
    """
    if owner == ANONYMOUS:
        yield from idle
        return
    part = sum(held.values()) / (len(held) + (owner not in held))
    protected = []
    for slot in idle:
        if held[slot.owner] > part or slot.idle_since <= now - _FRESH_S:
            yield slot
        else:
            protected.append(slot)
    yield from (slot for slot in protected if slot.owner == owner)
    if running < len(idle):
        yield from (slot for slot in protected if slot.owner != owner)
