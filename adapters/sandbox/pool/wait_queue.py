"""Who waits for a place, in which order."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from attrs import define, field

from adapters.sandbox.pool.slot import Process, Slot, SlotRequest
from domain.concurrency.capacity_limiter import is_fair
from domain.errors import Overloaded
from domain.identity import ANONYMOUS, Owner

QUEUE = "a worker"
Key = TypeVar("Key")


@define(eq=False)
class WaitingCall(Generic[Process]):
    """A call that waits."""

    request: SlotRequest
    granted: "asyncio.Future[Slot[Process]]"
    is_patient: bool = True
    timer: asyncio.TimerHandle | None = None


@define(eq=False)
class WaitQueue(Generic[Process]):
    """Everybody who waits: in the order of coming, by session, and by owner; of at most `length_max` in all.

    Of the whole every owner has a fair share.
    """

    length_max: int
    _everybody: dict[WaitingCall[Process], None] = field(factory=dict, init=False)
    _sessions: dict[int, dict[WaitingCall[Process], None]] = field(factory=dict, init=False)
    _owners: dict[Owner, dict[WaitingCall[Process], None]] = field(factory=dict, init=False)
    """Whoever was served last stands last."""

    def __len__(self) -> int:
        """Return how many calls wait."""
        return len(self._everybody)

    def __contains__(self, waiting: WaitingCall[Process]) -> bool:
        """Tell whether it still waits."""
        return waiting in self._everybody

    def join(self, request: SlotRequest) -> WaitingCall[Process]:
        """Begin to wait; raises Overloaded when there is no room for one more, or for one more of this owner."""
        waits, own = len(self._everybody), len(self._owners.get(request.owner, ()))
        if waits >= self.length_max or (request.owner != ANONYMOUS and not is_fair(own, waits, self.length_max)):
            raise Overloaded(QUEUE)
        waiting: WaitingCall[Process] = WaitingCall(request, asyncio.get_running_loop().create_future())
        self._everybody[waiting] = None
        self._sessions.setdefault(request.session, {})[waiting] = None
        self._owners.setdefault(request.owner, {})[waiting] = None
        return waiting

    def leave(self, waiting: WaitingCall[Process]) -> None:
        """Wait no more."""
        del self._everybody[waiting]
        _leave(self._sessions, waiting.request.session, waiting)
        _leave(self._owners, waiting.request.owner, waiting)

    def end_turn(self, owner: Owner) -> None:
        """Put the owner behind the others."""
        if owner in self._owners:
            self._owners[owner] = self._owners.pop(owner)

    def turn_away(self) -> None:
        """Tell everybody that there will be no place."""
        for waiting in list(self._everybody):
            self.leave(waiting)
            if not waiting.granted.done():
                waiting.granted.set_exception(Overloaded(QUEUE))

    def in_fair_order(
        self,
        running: Callable[[Owner], int],
        is_blocked: Callable[[Owner], bool],
        freed: int | None,
        *,
        is_full: bool,
    ) -> Iterator[WaitingCall[Process]]:
        """Yield who may be served: owners of whom less runs first, and those of the session that has freed a place.

        While there are places left, who stands in front comes before these: nobody's worker would end for them.
        """
        for owner in sorted(self._owners, key=running) if len(self._owners) > 1 else tuple(self._owners):
            # Nobody in a long line is looked at where nobody in it can be served.
            if is_blocked(owner):
                continue
            turn = self._owners[owner]
            front = next(iter(turn))
            # Patience is the same for all, so who has lost it stands in front.
            if freed is not None and front.is_patient:
                if not is_full:
                    yield front
                yield from (each for each in self._sessions.get(freed, ()) if each in turn)
            yield from turn


def _leave(lines: dict[Key, dict[WaitingCall[Process], None]], key: Key, waiting: WaitingCall[Process]) -> None:
    line = lines[key]
    del line[waiting]
    if not line:
        del lines[key]
