"""Waiting in this process for the ends of executions."""

from collections.abc import Callable
from uuid import UUID

from attrs import define, field

from domain.concurrency.waiters import Waiters


@define(eq=False)
class Ends(Waiters[UUID]):
    """Wakes those in this process who wait for the end of an execution; `heard` is called at each end."""

    _heard: Callable[[], None] = lambda: None
    is_stopped: bool = field(default=False, init=False)

    def notify(self, name: UUID) -> None:
        """Wake all who wait for the execution."""
        self._heard()
        super().notify(name)

    def stop(self) -> None:
        """Wake all who wait, and let nobody wait any more: the process stops."""
        self.is_stopped = True
        self.notify_all()
