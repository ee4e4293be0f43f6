"""Which session has which places, and which of them have to go."""

import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import Generic

from attrs import define, field

from adapters.sandbox.scheduling.place import Place, PlaceLimits, PlaceRequest, Process
from adapters.sandbox.stats import Eviction
from domain.identity import ANONYMOUS, Owner
from domain.places import SHARE, is_fair


@define(eq=False)
class Ledger(Generic[Process]):
    """Every place, running or idle, within the limits; `lost` is called when an idle one's worker has died."""

    limits: PlaceLimits
    now: Callable[[], float] = time.monotonic
    lost: Callable[[], None] = lambda: None
    evictions: Counter[Eviction] = field(factory=Counter, init=False)
    idle: dict[Place[Process], None] = field(factory=dict, init=False)
    """Idle places, the least recently used first."""
    running: Counter[Owner] = field(factory=Counter, init=False)
    count: int = field(default=0, init=False)
    memory_bytes: int = field(default=0, init=False)
    _places: dict[int, list[Place[Process]]] = field(factory=dict, init=False)

    @property
    def running_count(self) -> int:
        """How many run."""
        return self.count - len(self.idle)

    @property
    def is_full(self) -> bool:
        """Whether a new place takes that of another."""
        return self.count >= self.limits.places_max

    def grant(self, request: PlaceRequest, *, is_patient: bool) -> Place[Process] | None:
        """Return a place that now runs: the session's own warm one, or a new one; None when there is none now."""
        if self.is_at_limit(request.owner):
            return None
        places = self._places.get(request.session, [])
        for place in reversed(places):
            if not place.is_running and place.request == request:
                return self._wake(place) if self._make_room(request, place) else None
        if len(places) >= self.limits.session_places_max and not self._give_up_one_of(places):
            return None
        if self.is_full:
            waits_for_its_own = is_patient and any(place.is_running and place.request == request for place in places)
            if waits_for_its_own or not self._give_up_one_of(self.endable(request.owner)):
                return None
        return self._new(request) if self._make_room(request) else None

    def settle(self, place: Place[Process], *, reusable: bool, memory_bytes: int | None) -> None:
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
            self.evictions[Eviction.RESTLESS] += 1
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

    def endable(self, owner: Owner) -> Collection[Place[Process]]:
        """Return the idle places that the owner may end for a new one: only their own, if much of theirs runs.

        So the workers that others keep warm outlast a flood: they are what is free, of which everybody has a share.
        """
        if owner == ANONYMOUS or self.running[owner] < SHARE * len(self.idle):
            return self.idle
        return [place for place in self.idle if place.request.owner == owner]

    def give_up(self, place: Place[Process]) -> None:
        """End a place's worker and forget the place."""
        places = self._places.get(place.request.session, [])
        if place not in places:
            return
        places.remove(place)
        if not places:
            del self._places[place.request.session]
        self.count -= 1
        self._stop(place)
        self._count_memory(place, 0)
        self.idle.pop(place, None)
        if place.process is not None:
            place.process.when_dead(None)
            place.process.kill()

    def _make_room(self, request: PlaceRequest, own: Place[Process] | None = None) -> bool:
        """Give up idle places until the request fits; return whether it does. A lone call always fits."""
        limit = self.limits.memory_bytes_max
        if limit is None:
            return True
        present = 0 if own is None else own.memory_bytes
        while self.memory_bytes - present + request.kind.memory_bytes > limit:
            others = [place for place in self.endable(request.owner) if place is not own]
            if not self._give_up_one_of(others):
                return not self.running
        return True

    def _give_up_one_of(self, places: Collection[Place[Process]]) -> bool:
        """Give up the idle place among these that was used least recently; return whether there was one."""
        idle = next((place for place in self.idle if place in places), None)
        if idle is not None:
            self.evictions[Eviction.PRESSURE] += 1
            self.give_up(idle)
        return idle is not None

    def _new(self, request: PlaceRequest) -> Place[Process]:
        place: Place[Process] = Place(request, memory_bytes=0)
        self._start(place)
        self._places.setdefault(request.session, []).append(place)
        self.count += 1
        return place

    def _wake(self, place: Place[Process]) -> Place[Process]:
        del self.idle[place]
        self._start(place)
        if place.process is not None:
            place.process.when_dead(None)
        return place

    def _rest(self, place: Place[Process], process: Process) -> None:
        place.idle_since = self.now()
        self.idle[place] = None
        process.when_dead(lambda: self._lose(place))

    def _lose(self, place: Place[Process]) -> None:
        self.evictions[Eviction.DIED] += 1
        self.give_up(place)
        self.lost()

    def _start(self, place: Place[Process]) -> None:
        place.is_running = True
        self.running[place.request.owner] += 1
        self._count_memory(place, place.request.kind.memory_bytes)

    def _stop(self, place: Place[Process]) -> None:
        if place.is_running:
            place.is_running = False
            owner = place.request.owner
            self.running[owner] -= 1
            if not self.running[owner]:
                del self.running[owner]

    def _count_memory(self, place: Place[Process], memory_bytes: int) -> None:
        self.memory_bytes += memory_bytes - place.memory_bytes
        place.memory_bytes = memory_bytes
