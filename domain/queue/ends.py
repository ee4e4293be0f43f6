"""Waiting in this process for the ends of executions."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from uuid import UUID

from attrs import define, field


@define(eq=False)
class Ends:
    """Wakes those in this process who wait for the end of an execution; `heard` is called at each end."""

    _heard: Callable[[], None] = lambda: None
    _waiting: dict[UUID, set["asyncio.Future[None]"]] = field(factory=dict, init=False)

    def notify(self, execution_id: UUID) -> None:
        """Wake all who wait for the execution."""
        self._heard()
        for waiter in self._waiting.pop(execution_id, ()):
            waiter.set_result(None)

    @contextlib.contextmanager
    def waiting(self, execution_id: UUID) -> Iterator["asyncio.Future[None]"]:
        """Provide a future that is done once the execution ends in this process, from now on."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(execution_id, set())
        waiting.add(waiter)
        try:
            yield waiter
        finally:
            waiting.discard(waiter)
            if not waiting and self._waiting.get(execution_id) is waiting:
                del self._waiting[execution_id]
