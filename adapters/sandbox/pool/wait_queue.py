"""The calls that wait for a slot, and the order in which they get one."""

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
    """A call that waits. `waits_for_own` says that it does not evict other sessions' workers yet."""

    request: SlotRequest
    granted: "asyncio.Future[Slot[Process]]"
    waits_for_own: bool = True
    timer: asyncio.TimerHandle | None = None


@define(eq=False)
class WaitQueue(Generic[Process]):
    """The waiting calls in the order of arrival: all, by session, and by owner.

    At most `length_max` calls wait. Every owner has a fair share of that.
    """

    length_max: int
    _calls: dict[WaitingCall[Process], None] = field(factory=dict, init=False)
    _sessions: dict[int, dict[WaitingCall[Process], None]] = field(factory=dict, init=False)
    _owners: dict[Owner, dict[WaitingCall[Process], None]] = field(factory=dict, init=False)
    """The owner that was served last is the last one."""

    def __len__(self) -> int:
        """Return the number of calls that wait."""
        return len(self._calls)

    def __contains__(self, waiting: WaitingCall[Process]) -> bool:
        """Tell whether this call still waits."""
        return waiting in self._calls

    def __iter__(self) -> Iterator[WaitingCall[Process]]:
        """Yield the calls in the order of arrival."""
        return iter(self._calls)

    def join(self, request: SlotRequest) -> WaitingCall[Process]:
        """Add a call; raises Overloaded if the queue, or the owner's share of it, is full."""
        waits, own = len(self._calls), len(self._owners.get(request.owner, ()))
        if waits >= self.length_max or (request.owner != ANONYMOUS and not is_fair(own, waits, self.length_max)):
            raise Overloaded(QUEUE)
        waiting: WaitingCall[Process] = WaitingCall(request, asyncio.get_running_loop().create_future())
        self._calls[waiting] = None
        self._sessions.setdefault(request.session, {})[waiting] = None
        self._owners.setdefault(request.owner, {})[waiting] = None
        return waiting

    def leave(self, waiting: WaitingCall[Process]) -> None:
        """Remove a call."""
        del self._calls[waiting]
        _remove(self._sessions, waiting.request.session, waiting)
        _remove(self._owners, waiting.request.owner, waiting)

    def end_turn(self, owner: Owner) -> None:
        """Move the owner behind the others."""
        if owner in self._owners:
            self._owners[owner] = self._owners.pop(owner)

    def reject_all(self) -> None:
        """Remove every call and raise Overloaded in it."""
        for waiting in list(self._calls):
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
        """Yield the calls that may be served: owners with fewer running executions first.

        Within an owner, calls of the session `freed`, whose warm worker is free, come first. The oldest call precedes
        them if it no longer waits for its own worker, or if serving it evicts nobody's worker.
        """
        for owner in sorted(self._owners, key=running) if len(self._owners) > 1 else tuple(self._owners):
            # Skipping a blocked owner saves a pass over all its calls.
            if is_blocked(owner):
                continue
            turn = self._owners[owner]
            oldest = next(iter(turn))
            # The wait for an own worker is equally long for every call, so the oldest call ends it first.
            if freed is not None and oldest.waits_for_own:
                if not is_full:
                    yield oldest
                yield from (each for each in self._sessions.get(freed, ()) if each in turn)
            yield from turn


def _remove(calls: dict[Key, dict[WaitingCall[Process], None]], key: Key, waiting: WaitingCall[Process]) -> None:
    own = calls[key]
    del own[waiting]
    if not own:
        del calls[key]
