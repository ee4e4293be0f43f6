"""When an execution may start on a runtime host: before its deadline, and once."""

import heapq
import time
from collections.abc import Callable
from http import HTTPStatus
from uuid import UUID

from attrs import define, field, frozen

from domain.errors import Overloaded
from entrypoints.runtime_host.errors import HostError


@frozen
class StartDeadline:
    """The end of the time that a controller has left for an execution, on this host's monotonic clock."""

    time_left_ms: int
    arrived_at_s: float
    _monotonic: Callable[[], float]

    def require_left(self) -> None:
        """Raise Refusal (409 DEADLINE_PASSED) if no time is left."""
        passed_ms = (self._monotonic() - self.arrived_at_s) * 1000
        if passed_ms >= self.time_left_ms:
            message = (
                f"no time is left: the request arrived with time_left_ms {self.time_left_ms}, and {passed_ms:.0f} ms "
                "have passed since; nothing was started"
            )
            raise HostError(HTTPStatus.CONFLICT, "DEADLINE_PASSED", message)


@define(eq=False)
class SeenExecutions:
    """Remembers ids for a time each, at most `size_max` of them; beyond that it takes none rather than forget one."""

    size_max: int
    _monotonic: Callable[[], float] = time.monotonic
    _until: dict[UUID, float] = field(factory=dict, init=False)
    _by_end: list[tuple[float, UUID]] = field(factory=list, init=False)

    def add(self, execution_id: UUID, keep_s: float) -> None:
        """Remember the id; raises Refusal (409 EXECUTION_SEEN) when it is known, Overloaded when there is no room."""
        now = self._monotonic()
        self._drop_ended(now)
        if execution_id in self._until:
            raise HostError(HTTPStatus.CONFLICT, "EXECUTION_SEEN", "this execution was sent before")
        if len(self._until) >= self.size_max:
            raise Overloaded("executions to be remembered")
        self._until[execution_id] = now + keep_s
        heapq.heappush(self._by_end, (now + keep_s, execution_id))

    def forget(self, execution_id: UUID) -> None:
        """Take the id back: nothing was started."""
        self._until.pop(execution_id, None)

    def _drop_ended(self, now: float) -> None:
        while self._by_end and self._by_end[0][0] <= now:
            ended_at, execution_id = heapq.heappop(self._by_end)
            if self._until.get(execution_id) == ended_at:
                del self._until[execution_id]
        if len(self._by_end) > 2 * self.size_max:
            self._by_end = [(until, execution_id) for execution_id, until in self._until.items()]
            heapq.heapify(self._by_end)
