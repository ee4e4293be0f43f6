"""How many executions are in their first moments at once."""

from collections.abc import Hashable
from math import inf

from attrs import define, field


@define
class Bursts:
    """Lets in no more than `size_max` executions that have begun within `burst_s`; None: as many as come.

    Most are over by then. Many at once would only take the processors' caches from each other: a run costs half as
    much in a worker that has run just before. Those that take longer, or wait for something, hold up nobody.
    """

    size_max: int | None
    burst_s: float
    _begun: dict[Hashable, float] = field(factory=dict, init=False)

    def begin(self, execution: Hashable, now: float) -> None:
        """Count it until it ends or has run for so long."""
        if self.size_max is not None:
            self._begun[execution] = now

    def end(self, execution: Hashable) -> None:
        """Count it no more."""
        self._begun.pop(execution, None)

    def full_for_s(self, now: float) -> float:
        """Return how long, at most, nobody else may begin; 0 when somebody may."""
        if self.size_max is None:
            return 0
        while len(self._begun) >= self.size_max:
            execution, begun = next(iter(self._begun.items()), (None, inf))
            if begun + self.burst_s > now:
                return begun + self.burst_s - now
            del self._begun[execution]
        return 0
