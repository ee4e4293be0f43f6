"""How many of a session's executions are in their first moments at once."""

from collections import Counter
from collections.abc import Hashable

from attrs import define, field


@define
class StartStagger:
    """Counts a session's executions that have begun within `burst_s` and are not over.

    Where no more than so many may begin, most are over by then; many at once would only take the processors' caches
    from each other: a run costs half as much in a worker that has run just before. Those that take longer, or wait for
    something, hold up nobody.
    """

    burst_s: float
    _begun: dict[Hashable, tuple[int, float]] = field(factory=dict, init=False)
    _counts: Counter[int] = field(factory=Counter, init=False)

    def count(self, session: int) -> int:
        """Return how many of the session count now."""
        return self._counts[session]

    def begin(self, execution: Hashable, session: int, now: float) -> None:
        """Count it until it ends or has run for so long."""
        self._begun[execution] = session, now
        self._counts[session] += 1

    def end(self, execution: Hashable) -> None:
        """Count it no more."""
        begun = self._begun.pop(execution, None)
        if begun is None:
            return
        session, _ = begun
        self._counts[session] -= 1
        if not self._counts[session]:
            del self._counts[session]

    def expire(self, now: float) -> bool:
        """Count those no more that have run for so long; return whether there were any."""
        over = False
        while self._begun:
            execution, (_, begun) = next(iter(self._begun.items()))
            if begun + self.burst_s > now:
                break
            self.end(execution)
            over = True
        return over

    def next_end(self) -> float | None:
        """Return when the next one counts no more at the latest; None where there is none."""
        _, begun = next(iter(self._begun.values()), (None, None))
        return None if begun is None else begun + self.burst_s
