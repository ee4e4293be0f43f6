"""What was measured of one kind of call."""

from collections import Counter
from collections.abc import Sequence

from attrs import define, field


@define
class Measurement:
    """Calls that were answered, with the seconds that each took, and how the others failed, by reason."""

    name: str
    elapsed_s: float = 0.0
    durations_s: list[float] = field(factory=list)
    failures: Counter[str] = field(factory=Counter)

    @property
    def rate(self) -> float:
        """Answered calls per second."""
        return len(self.durations_s) / self.elapsed_s if self.elapsed_s else 0.0

    def percentile_ms(self, share: float) -> float | None:
        """Return the milliseconds within which this share of the calls was answered; None when there is none."""
        if not self.durations_s:
            return None
        return _nearest(sorted(self.durations_s), share) * 1000


def _nearest(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
