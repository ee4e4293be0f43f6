"""Waiting in this process for events that have a name."""

import asyncio
import contextlib
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from attrs import define, field

Name = TypeVar("Name", bound=Hashable)


@define(eq=False)
class Waiters(Generic[Name]):
    """Wakes those who wait for an event. Belongs to one event loop."""

    _waiting: "dict[Name, set[asyncio.Future[None]]]" = field(factory=dict, init=False)

    def notify(self, name: Name) -> None:
        """Wake all who wait for the event now."""
        for waiter in self._waiting.pop(name, ()):
            waiter.set_result(None)

    def notify_all(self) -> None:
        """Wake all who wait for any event."""
        for name in list(self._waiting):
            self.notify(name)

    @contextlib.contextmanager
    def waiting(self, name: Name) -> "Iterator[asyncio.Future[None]]":
        """Provide a future that is done once the event occurs, from now on."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(name, set())
        waiting.add(waiter)
        try:
            yield waiter
        finally:
            waiting.discard(waiter)
            if not waiting and self._waiting.get(name) is waiting:
                del self._waiting[name]
