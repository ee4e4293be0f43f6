"""Which session has which places, and which of them have to go."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Generic

from attrs import define, field

from adapters.sandbox.pool.slot import PoolLimits, Process, Slot, SlotRequest
from adapters.sandbox.stats import Eviction
from domain.concurrency.capacity_limiter import is_fair
from domain.identity import ANONYMOUS, Owner

_FRESH_S = 60.0
"""A warm worker that has not been used for so long is missed by nobody who has few."""


@define(eq=False)
class SlotTable(Generic[Process]):
    """Every place, running or idle, within the limits; `lost` is called when an idle one's worker has died."""

    limits: PoolLimits
    now: Callable[[], float] = time.monotonic
    lost: Callable[[], None] = lambda: None
    evictions: Counter[Eviction] = field(factory=Counter, init=False)
    idle: dict[Slot[Process], None] = field(factory=dict, init=False)
    """Idle places, the least recently used first."""
    running: Counter[Owner] = field(factory=Counter, init=False)
    held: Counter[Owner] = field(factory=Counter, init=False)
    """Places of each owner, running or idle."""
    count: int = field(default=0, init=False)
    memory_bytes: int = field(default=0, init=False)
    _places: dict[int, list[Slot[Process]]] = field(factory=dict, init=False)

    @property
    def running_count(self) -> int:
        """How many run."""
        return self.count - len(self.idle)

    @property
    def is_full(self) -> bool:
        """Whether a new place takes that of another."""
        return self.count >= self.limits.places_max

    def grant(self, request: SlotRequest, *, is_patient: bool) -> Slot[Process] | None:
        """Return a place that now runs: the session's own warm one, or a new one; None when there is none now."""
        if self.is_at_limit(request.owner):
            return None
        places = self._places.get(request.session, [])
        for place in reversed(places):
            if not place.is_running and place.request == request:
                return self._wake(place) if self._make_room(request, [], place) else None
        leaving = self._leaving(request, places, is_patient=is_patient)
        return self._new(request) if leaving is not None and self._make_room(request, leaving) else None

    def settle(self, place: Slot[Process], *, reusable: bool, memory_bytes: int | None) -> None:
        """End a place's run; its worker is kept only when it may be used again, and then counts `memory_bytes`."""
        self._stop(place)
        process = place.process
        if reusable and process is not None and process.is_alive and not place.ended and place.request.keeps:
            self._count_memory(place, place.memory_bytes if memory_bytes is None else memory_bytes)
            self._rest(place, process)
        else:
            self.give_up(place)

    def evict(self, session: int) -> None:
        """Give up what the session keeps warm, now if idle and otherwise after the run."""
        for place in list(self._places.get(session, ())):
            place.ended = True
            self.evictions[Eviction.ENDED] += 1
            if place in self.idle:
                self.give_up(place)

    def evict_idle(self, idle_s: float) -> None:
        """Give up places that have been idle for so long, and those of sessions whose time is over."""
        now = self.now()
        for place in [place for place in self.idle if now - place.idle_since > idle_s or now > place.useful_until]:
            self.evictions[Eviction.IDLE] += 1
            self.give_up(place)

    def evict_restless(self) -> None:
        """Give up idle places whose worker does not rest: what a script has left there works at everybody's cost."""
        for place in [place for place in self.idle if place.process is not None and place.process.is_restless]:
            self.evictions[Eviction.BACKGROUND_ACTIVITY] += 1
            self.give_up(place)

    def clear(self) -> None:
        """Give up everything, running or not."""
        for place in [place for places in self._places.values() for place in places]:
            self.give_up(place)

    def is_at_limit(self, owner: Owner) -> bool:
        """Tell whether as many executions run as may, of the owner or of all."""
        own, limit, limit_of_all = self.running[owner], self.limits.owner_running_max, self.limits.running_max
        if limit is not None and own >= limit:
            return True
        if limit_of_all is None:
            return False
        running = self.running_count
        return running >= limit_of_all or (owner != ANONYMOUS and not is_fair(own, running, limit_of_all))

    def endable(self, owner: Owner) -> Iterator[Slot[Process]]:
        """Yield the idle places that the owner may end for a new one, those first that are missed least.

        First those of owners who have more than an equal part, and what has not been used for a while; then the
        owner's own; then all others, unless as many of the owner run as are idle in all. Of each the least recently
        used go first. So the workers that others keep warm outlast a flood.
        """
        if owner == ANONYMOUS:
            yield from self.idle
            return
        part = self.count / (len(self.held) + (owner not in self.held))
        stale_at = self.now() - _FRESH_S
        spared = []
        for place in self.idle:
            if self.held[place.request.owner] > part or place.idle_since <= stale_at:
                yield place
            else:
                spared.append(place)
        yield from (place for place in spared if place.request.owner == owner)
        if self.running[owner] < len(self.idle):
            yield from (place for place in spared if place.request.owner != owner)

    def give_up(self, place: Slot[Process]) -> None:
        """End a place's worker and forget the place."""
        places = self._places.get(place.request.session, [])
        if place not in places:
            return
        places.remove(place)
        if not places:
            del self._places[place.request.session]
        self.count -= 1
        self.held[place.request.owner] -= 1
        if not self.held[place.request.owner]:
            del self.held[place.request.owner]
        self._stop(place)
        self._count_memory(place, 0)
        self.idle.pop(place, None)
        if place.process is not None:
            place.process.when_dead(None)
            place.process.kill()

    def _leaving(
        self, request: SlotRequest, places: list[Slot[Process]], *, is_patient: bool
    ) -> list[Slot[Process]] | None:
        """Return the idle places that go for a new one beside the session's `places`; None when that cannot be."""
        if len(places) >= self.limits.session_places_max:
            candidates: Iterable[Slot[Process]] = (place for place in self.idle if place in places)
        elif not self.is_full:
            return []
        elif is_patient and any(place.is_running and place.request == request for place in places):
            return None  # it waits for its own
        else:
            candidates = self.endable(request.owner)
        place = next(iter(candidates), None)
        return None if place is None else [place]

    def _make_room(self, request: SlotRequest, leaving: list[Slot[Process]], own: Slot[Process] | None = None) -> bool:
        """Give up these idle places and as many others as the request's memory needs, or none; return whether it fits.

        A lone call always fits.
        """
        if self.limits.memory_bytes_max is not None:
            present = sum(place.memory_bytes for place in leaving) + (0 if own is None else own.memory_bytes)
            missing = self.memory_bytes - present + request.kind.memory_bytes - self.limits.memory_bytes_max
            others = (place for place in self.endable(request.owner) if place is not own and place not in leaving)
            while missing > 0 and (place := next(others, None)) is not None:
                leaving.append(place)
                missing -= place.memory_bytes
            if missing > 0 and self.running:
                return False
        for place in leaving:
            self.evictions[Eviction.PRESSURE] += 1
            self.give_up(place)
        return True

    def _new(self, request: SlotRequest) -> Slot[Process]:
        place: Slot[Process] = Slot(request, memory_bytes=0)
        self._start(place)
        self._places.setdefault(request.session, []).append(place)
        self.count += 1
        self.held[request.owner] += 1
        return place

    def _wake(self, place: Slot[Process]) -> Slot[Process]:
        del self.idle[place]
        self._start(place)
        if place.process is not None:
            place.process.when_dead(None)
        return place

    def _rest(self, place: Slot[Process], process: Process) -> None:
        place.idle_since = self.now()
        self.idle[place] = None
        process.when_dead(lambda: self._lose(place))

    def _lose(self, place: Slot[Process]) -> None:
        self.evictions[Eviction.DIED] += 1
        self.give_up(place)
        self.lost()

    def _start(self, place: Slot[Process]) -> None:
        place.is_running = True
        self.running[place.request.owner] += 1
        self._count_memory(place, place.request.kind.memory_bytes)

    def _stop(self, place: Slot[Process]) -> None:
        if place.is_running:
            place.is_running = False
            owner = place.request.owner
            self.running[owner] -= 1
            if not self.running[owner]:
                del self.running[owner]

    def _count_memory(self, place: Slot[Process], memory_bytes: int) -> None:
        self.memory_bytes += memory_bytes - place.memory_bytes
        place.memory_bytes = memory_bytes
