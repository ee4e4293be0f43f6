"""When an execution may start on a runtime host: before its deadline, and once."""

import heapq
import time
from collections.abc import Callable
from math import inf
from uuid import UUID

from attrs import define, field, frozen

from domain.errors import Overloaded
from entrypoints.runtime_host.errors import DeadlinePassed, ExecutionSeen


@frozen
class StartDeadline:
    """The end of the time that a controller has left for an execution, on this host's monotonic clock in seconds."""

    time_left_ms: int
    arrived_at_s: float
    _monotonic: Callable[[], float]

    def require_left(self) -> None:
        """Raise DeadlinePassed if no time is left."""
        passed_ms = (self._monotonic() - self.arrived_at_s) * 1000
        if passed_ms >= self.time_left_ms:
            raise DeadlinePassed(self.time_left_ms, passed_ms)


@define(eq=False)
class SeenExecutions:
    """Remembers ids for a time each, at most `size_max` of them.

    If it is full, it forgets the first of those that were spared. Without one it rejects ids and forgets none.
    """

    size_max: int
    _monotonic: Callable[[], float] = time.monotonic
    _ends_s: dict[UUID, float] = field(factory=dict, init=False)
    _by_end: list[tuple[float, UUID]] = field(factory=list, init=False)
    _spared: dict[UUID, None] = field(factory=dict, init=False)

    def __contains__(self, execution_id: UUID) -> bool:
        """Return whether the id is remembered."""
        return self._ends_s.get(execution_id, -inf) > self._monotonic()

    def add(self, execution_id: UUID, keep_s: float) -> None:
        """Remember the id for `keep_s`; raises ExecutionSeen if it is remembered already, Overloaded if it is full."""
        now_s = self._monotonic()
        self._drop_ended(now_s)
        if execution_id in self._ends_s:
            raise ExecutionSeen
        if len(self._ends_s) >= self.size_max:
            self._forget_one()
        self._ends_s[execution_id] = now_s + keep_s
        heapq.heappush(self._by_end, (now_s + keep_s, execution_id))

    def remove(self, execution_id: UUID) -> None:
        """Forget the id, because nothing was started."""
        self._ends_s.pop(execution_id, None)
        self._spared.pop(execution_id, None)

    def spare(self, execution_id: UUID) -> None:
        """Let another id take the place of this one, because no copy of it is expected."""
        if execution_id in self._ends_s:
            self._spared[execution_id] = None

    def debug_snapshot(self) -> dict[str, int]:
        """Return the sizes of its tables."""
        return {"ids": len(self._ends_s), "ends": len(self._by_end), "spared": len(self._spared)}

    def _forget_one(self) -> None:
        if not self._spared:
            raise Overloaded("a place in the list of known executions")
        self.remove(next(iter(self._spared)))

    def _drop_ended(self, now_s: float) -> None:
        while self._by_end and self._by_end[0][0] <= now_s:
            ended_at_s, execution_id = heapq.heappop(self._by_end)
            if self._ends_s.get(execution_id) == ended_at_s:
                self.remove(execution_id)
        # Removed ids leave their ends behind.
        if len(self._by_end) > 2 * self.size_max:
            self._by_end = [(end_s, execution_id) for execution_id, end_s in self._ends_s.items()]
            heapq.heapify(self._by_end)
