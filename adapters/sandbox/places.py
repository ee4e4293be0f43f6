"""Which session has which worker, who waits for one, and who has to go."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Generic, TypeVar
from uuid import UUID

from attrs import define, field, frozen

from adapters.sandbox.spares import Startable
from domain.errors import Overloaded
from domain.language import Language

QUEUE = "a worker"
Process = TypeVar("Process", bound=Startable)


@frozen
class Kind:
    """Workers of one kind can stand in for each other."""

    language: Language
    memory_mb: int


@frozen
class PlaceRequest:
    """Who asks, and for what; `keeps` is whether a worker may be kept warm and used again."""

    session: UUID
    kind: Kind
    keeps: bool


@define(eq=False)
class Place(Generic[Process]):
    """A place that belongs to one session, with the worker that was put into it."""

    request: PlaceRequest
    process: Process | None = None
    script_hash: str | None = None
    runs: int = 0
    idle_since: float = 0.0
    useful_until: float = inf
    ended: bool = False
    """Whether its session has ended, so that it is given up after the run."""


@frozen
class PlaceLimits:
    """How many places there are in all and for each session, and how many calls may wait for one."""

    places_max: int
    session_places_max: int
    queue_length_max: int
    queue_timeout_s: float


@define(eq=False)
class _Waiting(Generic[Process]):
    request: PlaceRequest
    granted: "asyncio.Future[Place[Process]]"


@define(eq=False)
class Places(Generic[Process]):
    """Gives places to sessions; idle ones stay warm, the least recently used go first.

    Nobody who could be served waits: so calls are served in their order, save for those whose own session is at its
    limit, which hold up nobody else.
    """

    limits: PlaceLimits
    now: Callable[[], float] = time.monotonic
    _places: dict[UUID, list[Place[Process]]] = field(factory=dict, init=False)
    _count: int = field(default=0, init=False)
    _idle: dict[Place[Process], None] = field(factory=dict, init=False)
    _queue: deque[_Waiting[Process]] = field(factory=deque, init=False)

    @property
    def count(self) -> int:
        """How many places are taken, idle ones included."""
        return self._count

    @property
    def idle(self) -> int:
        """How many places are idle."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(self._queue)

    async def acquire(self, request: PlaceRequest) -> Place[Process]:
        """Return a place: one with a warm worker, or a new one to put a worker into.

        Raises Overloaded when the queue is full or the wait too long; cancelling leaves the queue.
        """
        place = self._try(request)
        if place is not None:
            return place
        if len(self._queue) >= self.limits.queue_length_max:
            raise Overloaded(QUEUE)
        return await self._wait(request)

    def release(self, place: Place[Process], *, reusable: bool) -> None:
        """Give a place back; its worker is kept only when it may be used again."""
        process = place.process
        kept = reusable and process is not None and process.is_alive and not place.ended and place.request.keeps
        if kept and process is not None:
            self._rest(place, process)
        else:
            self._give_up(place)
        self._serve_queue()

    def evict(self, session: UUID) -> None:
        """Give up what the session keeps warm, now if idle and otherwise after the run."""
        for place in list(self._places.get(session, ())):
            place.ended = True
            if place in self._idle:
                self._give_up(place)
        self._serve_queue()

    def evict_idle(self, idle_s: float) -> None:
        """Give up places that have been idle for so long, and those of sessions whose time is over."""
        now = self.now()
        for place in [place for place in self._idle if now - place.idle_since > idle_s or now > place.useful_until]:
            self._give_up(place)
        self._serve_queue()

    def clear(self) -> None:
        """Give up everything, running or not, and turn away whoever waits."""
        for place in [place for places in self._places.values() for place in places]:
            self._give_up(place)
        while self._queue:
            waiting = self._queue.popleft()
            if not waiting.granted.done():
                waiting.granted.set_exception(Overloaded(QUEUE))

    async def _wait(self, request: PlaceRequest) -> Place[Process]:
        waiting: _Waiting[Process] = _Waiting(request, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        try:
            async with asyncio.timeout(self.limits.queue_timeout_s):
                return await waiting.granted
        except TimeoutError:
            self._leave(waiting)
            raise Overloaded(QUEUE) from None
        except asyncio.CancelledError:
            self._leave(waiting)
            raise

    def _leave(self, waiting: _Waiting[Process]) -> None:
        if waiting in self._queue:
            self._queue.remove(waiting)
        elif not waiting.granted.cancelled() and waiting.granted.exception() is None:
            # Granted in the very moment in which the wait ended.
            self.release(waiting.granted.result(), reusable=True)

    def _try(self, request: PlaceRequest) -> Place[Process] | None:
        places = self._places.get(request.session, [])
        for place in reversed(places):
            if place in self._idle and place.request == request:
                return self._wake(place)
        if len(places) >= self.limits.session_places_max and not self._give_up_one_of(places):
            return None
        if self._count >= self.limits.places_max and not self._give_up_one_of(self._idle):
            return None
        return self._new(request)

    def _wake(self, place: Place[Process]) -> Place[Process]:
        del self._idle[place]
        if place.process is not None:
            place.process.when_dead(None)
        return place

    def _rest(self, place: Place[Process], process: Process) -> None:
        place.idle_since = self.now()
        self._idle[place] = None
        process.when_dead(lambda: self._give_up(place))

    def _give_up_one_of(self, places: "list[Place[Process]] | dict[Place[Process], None]") -> bool:
        """Give up the idle place among these that was used least recently; return whether there was one."""
        idle = next((place for place in self._idle if place in places), None)
        if idle is not None:
            self._give_up(idle)
        return idle is not None

    def _new(self, request: PlaceRequest) -> Place[Process]:
        place: Place[Process] = Place(request)
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
        self._idle.pop(place, None)
        if place.process is not None:
            place.process.when_dead(None)
            place.process.kill()

    def _serve_queue(self) -> None:
        for waiting in list(self._queue):
            if waiting.granted.done():
                continue
            place = self._try(waiting.request)
            if place is not None:
                self._queue.remove(waiting)
                waiting.granted.set_result(place)
