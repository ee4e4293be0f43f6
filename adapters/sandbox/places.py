"""Which session has which worker, who waits for one, and who has to go."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from math import inf
from typing import Generic, TypeVar
from uuid import UUID

from attrs import define, field, frozen

from adapters.sandbox.spares import Startable
from adapters.sandbox.stats import Eviction
from domain.errors import Overloaded
from domain.identity import ANONYMOUS, Owner
from domain.language import Language
from domain.places import SHARE, is_fair

QUEUE = "a worker"
Process = TypeVar("Process", bound=Startable)
Key = TypeVar("Key")


@frozen
class Kind:
    """Workers of one kind can stand in for each other."""

    language: Language
    memory_mb: int

    @property
    def memory_bytes(self) -> int:
        """What one of them may take."""
        return self.memory_mb << 20


@frozen
class PlaceRequest:
    """Who asks, and for what; `keeps` is whether a worker may be kept warm and used again."""

    session: UUID
    kind: Kind
    keeps: bool
    owner: Owner = ANONYMOUS


@define(eq=False)
class Place(Generic[Process]):
    """A place that belongs to one session, with the worker that was put into it."""

    request: PlaceRequest
    memory_bytes: int
    """What it counts for: all that it may take while it runs, what it was seen to hold while it is idle."""
    is_running: bool = True
    process: Process | None = None
    script_hash: str | None = None
    runs: int = 0
    idle_since: float = 0.0
    useful_until: float = inf
    ended: bool = False
    """Whether its session has ended, so that it is given up after the run."""


@frozen
class PlaceLimits:
    """How many places there are in all and for each session, and how many calls may wait for one.

    `owner_running_max` is how many executions of one owner may run at once, `memory_bytes_max` what all places may
    take together; None leaves it to `places_max`. For `patience_s` a call rather waits for its session's own warm
    worker than takes the place of another session's: a start costs a hundred times what a warm run does.
    """

    places_max: int
    session_places_max: int
    queue_length_max: int
    queue_timeout_s: float
    owner_running_max: int | None = None
    memory_bytes_max: int | None = None
    patience_s: float = 0.25


@define(eq=False)
class _Waiting(Generic[Process]):
    request: PlaceRequest
    granted: "asyncio.Future[Place[Process]]"
    is_patient: bool = True


@define(eq=False)
class Places(Generic[Process]):
    """Gives places to sessions; idle ones stay warm, the least recently used go first.

    Owners of whom least runs are served first, and in turn where that is the same; of one owner's calls, those of the
    session whose warm worker has become free, unless somebody's patience is over, and then in order. Calls whose own
    session or owner is at its limit hold up nobody else. Of the queue every owner has a fair share.
    """

    limits: PlaceLimits
    now: Callable[[], float] = time.monotonic
    evictions: Counter[Eviction] = field(factory=Counter, init=False)
    _places: dict[UUID, list[Place[Process]]] = field(factory=dict, init=False)
    _count: int = field(default=0, init=False)
    _idle: dict[Place[Process], None] = field(factory=dict, init=False)
    _queue: dict[_Waiting[Process], None] = field(factory=dict, init=False)
    _lines: dict[UUID, dict[_Waiting[Process], None]] = field(factory=dict, init=False)
    """Who waits, by session."""
    _turns: dict[Owner, dict[_Waiting[Process], None]] = field(factory=dict, init=False)
    """Who waits, by owner; whoever was served last stands last."""
    _running: Counter[Owner] = field(factory=Counter, init=False)
    _memory_bytes: int = field(default=0, init=False)

    @property
    def count(self) -> int:
        """How many places are taken, idle ones included."""
        return self._count

    @property
    def idle(self) -> int:
        """How many places are idle."""
        return len(self._idle)

    @property
    def memory_bytes(self) -> int:
        """What all places count for."""
        return self._memory_bytes

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(self._queue)

    async def acquire(self, request: PlaceRequest) -> Place[Process]:
        """Return a place: one with a warm worker, or a new one to put a worker into.

        Raises Overloaded when the queue is full or the wait too long; cancelling leaves the queue.
        """
        place = self._try(request, is_patient=True)
        if place is not None:
            return place
        self._require_room(request.owner)
        return await self._wait(request)

    def release(self, place: Place[Process], *, reusable: bool, memory_bytes: int | None = None) -> None:
        """Give a place back; its worker is kept only when it may be used again, and then counts `memory_bytes`."""
        self._stop(place)
        process = place.process
        kept = reusable and process is not None and process.is_alive and not place.ended and place.request.keeps
        if kept and process is not None:
            self._count_memory(place, place.memory_bytes if memory_bytes is None else memory_bytes)
            self._rest(place, process)
        else:
            self._give_up(place)
        self._serve_queue(place.request.session)

    def evict(self, session: UUID) -> None:
        """Give up what the session keeps warm, now if idle and otherwise after the run."""
        for place in list(self._places.get(session, ())):
            place.ended = True
            self.evictions[Eviction.ENDED] += 1
            if place in self._idle:
                self._give_up(place)
        self._serve_queue()

    def evict_idle(self, idle_s: float) -> None:
        """Give up places that have been idle for so long, and those of sessions whose time is over."""
        now = self.now()
        for place in [place for place in self._idle if now - place.idle_since > idle_s or now > place.useful_until]:
            self.evictions[Eviction.IDLE] += 1
            self._give_up(place)
        self._serve_queue()

    def clear(self) -> None:
        """Give up everything, running or not, and turn away whoever waits."""
        for place in [place for places in self._places.values() for place in places]:
            self._give_up(place)
        for waiting in list(self._queue):
            self._unqueue(waiting)
            if not waiting.granted.done():
                waiting.granted.set_exception(Overloaded(QUEUE))

    async def _wait(self, request: PlaceRequest) -> Place[Process]:
        loop = asyncio.get_running_loop()
        waiting: _Waiting[Process] = _Waiting(request, loop.create_future())
        self._queue[waiting] = None
        self._lines.setdefault(request.session, {})[waiting] = None
        self._turns.setdefault(request.owner, {})[waiting] = None
        patience = loop.call_later(self.limits.patience_s, self._lose_patience, waiting)
        try:
            async with asyncio.timeout(self.limits.queue_timeout_s):
                return await waiting.granted
        except TimeoutError:
            self._leave(waiting)
            raise Overloaded(QUEUE) from None
        except asyncio.CancelledError:
            self._leave(waiting)
            raise
        finally:
            patience.cancel()

    def _lose_patience(self, waiting: _Waiting[Process]) -> None:
        waiting.is_patient = False
        self._serve_queue()

    def _leave(self, waiting: _Waiting[Process]) -> None:
        if waiting in self._queue:
            self._unqueue(waiting)
        elif not waiting.granted.cancelled() and waiting.granted.exception() is None:
            # Granted in the very moment in which the wait ended.
            self.release(waiting.granted.result(), reusable=True)

    def _unqueue(self, waiting: _Waiting[Process]) -> None:
        del self._queue[waiting]
        _leave_line(self._lines, waiting.request.session, waiting)
        _leave_line(self._turns, waiting.request.owner, waiting)

    def _try(self, request: PlaceRequest, *, is_patient: bool) -> Place[Process] | None:
        if self._owner_is_at_its_limit(request.owner):
            return None
        places = self._places.get(request.session, [])
        for place in reversed(places):
            if place in self._idle and place.request == request:
                return self._wake(place) if self._make_room(request, place) else None
        if len(places) >= self.limits.session_places_max and not self._give_up_one_of(places):
            return None
        if self._count >= self.limits.places_max:
            waits_for_its_own = is_patient and any(place.is_running and place.request == request for place in places)
            if waits_for_its_own or not self._give_up_one_of(self._endable(request.owner)):
                return None
        return self._new(request) if self._make_room(request) else None

    def _owner_is_at_its_limit(self, owner: Owner) -> bool:
        limit = self.limits.owner_running_max
        return limit is not None and self._running[owner] >= limit

    def _endable(self, owner: Owner) -> "list[Place[Process]] | dict[Place[Process], None]":
        """Return the idle places that the owner may end for a new one: only their own, if much of theirs runs.

        So the workers that others keep warm outlast a flood: they are what is free, of which everybody has a share.
        """
        if owner == ANONYMOUS or self._running[owner] < SHARE * len(self._idle):
            return self._idle
        return [place for place in self._idle if place.request.owner == owner]

    def _make_room(self, request: PlaceRequest, own: Place[Process] | None = None) -> bool:
        """Give up idle places until the request fits; return whether it does. A lone call always fits."""
        limit = self.limits.memory_bytes_max
        if limit is None:
            return True
        present = 0 if own is None else own.memory_bytes
        while self._memory_bytes - present + request.kind.memory_bytes > limit:
            others = [place for place in self._endable(request.owner) if place is not own]
            if not self._give_up_one_of(others):
                return not self._running
        return True

    def _start(self, place: Place[Process]) -> None:
        place.is_running = True
        self._running[place.request.owner] += 1
        self._count_memory(place, place.request.kind.memory_bytes)

    def _stop(self, place: Place[Process]) -> None:
        if place.is_running:
            place.is_running = False
            self._running[place.request.owner] -= 1
            # Owners of whom nothing runs are forgotten.
            self._running += Counter()

    def _count_memory(self, place: Place[Process], memory_bytes: int) -> None:
        self._memory_bytes += memory_bytes - place.memory_bytes
        place.memory_bytes = memory_bytes

    def _wake(self, place: Place[Process]) -> Place[Process]:
        del self._idle[place]
        self._start(place)
        if place.process is not None:
            place.process.when_dead(None)
        return place

    def _rest(self, place: Place[Process], process: Process) -> None:
        place.idle_since = self.now()
        self._idle[place] = None
        process.when_dead(lambda: self._lose(place))

    def _lose(self, place: Place[Process]) -> None:
        self.evictions[Eviction.DIED] += 1
        self._give_up(place)
        self._serve_queue()

    def _give_up_one_of(self, places: "list[Place[Process]] | dict[Place[Process], None]") -> bool:
        """Give up the idle place among these that was used least recently; return whether there was one."""
        idle = next((place for place in self._idle if place in places), None)
        if idle is not None:
            self.evictions[Eviction.PRESSURE] += 1
            self._give_up(idle)
        return idle is not None

    def _new(self, request: PlaceRequest) -> Place[Process]:
        place: Place[Process] = Place(request, memory_bytes=0)
        self._start(place)
        self._places.setdefault(request.session, []).append(place)
        self._count += 1
        return place

    def _give_up(self, place: Place[Process]) -> None:
        places = self._places.get(place.request.session, [])
        if place not in places:
            return
        places.remove(place)
        if not places:
            del self._places[place.request.session]
        self._count -= 1
        self._stop(place)
        self._count_memory(place, 0)
        self._idle.pop(place, None)
        if place.process is not None:
            place.process.when_dead(None)
            place.process.kill()

    def _serve_queue(self, freed: UUID | None = None) -> None:
        """Serve who can be served; `freed` is the session of whose places one has become free."""
        while self._queue and (self._idle or self._count < self.limits.places_max):
            if not self._serve_one(freed):
                return

    def _serve_one(self, freed: UUID | None) -> bool:
        for waiting in self._in_fair_order(freed):
            place = None if waiting.granted.done() else self._try(waiting.request, is_patient=waiting.is_patient)
            if place is not None:
                self._unqueue(waiting)
                self._end_turn(waiting.request.owner)
                waiting.granted.set_result(place)
                return True
        return False

    def _in_fair_order(self, freed: UUID | None) -> Iterator[_Waiting[Process]]:
        for owner in sorted(self._turns, key=lambda each: self._running[each]):
            # Nobody in a long line is looked at where nobody in it can be served.
            is_full = self._count >= self.limits.places_max and not self._endable(owner)
            if is_full or self._owner_is_at_its_limit(owner):
                continue
            turn = self._turns[owner]
            # Patience is the same for all, so who has lost it stands in front.
            if freed is not None and next(iter(turn)).is_patient:
                yield from (each for each in self._lines.get(freed, ()) if each in turn)
            yield from turn

    def _end_turn(self, owner: Owner) -> None:
        if owner in self._turns:
            self._turns[owner] = self._turns.pop(owner)

    def _require_room(self, owner: Owner) -> None:
        waiting, length_max = len(self._queue), self.limits.queue_length_max
        own = len(self._turns.get(owner, ()))
        if waiting >= length_max or (owner != ANONYMOUS and not is_fair(own, waiting, length_max)):
            raise Overloaded(QUEUE)


def _leave_line(lines: dict[Key, dict[_Waiting[Process], None]], key: Key, waiting: _Waiting[Process]) -> None:
    line = lines[key]
    del line[waiting]
    if not line:
        del lines[key]
