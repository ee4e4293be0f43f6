"""What the silence of a runtime host means; without input, output or a clock."""

from enum import StrEnum

from attrs import define, field

PING_AFTER_S = 0.25
LEFT_AFTER_S = 0.75
DEAD_AFTER_S = 5.0
JUDGED_EACH_S = 0.125
_LATE_S = 0.1


class SilenceVerdict(StrEnum):
    """What the silence of a host demands."""

    FINE = "fine"
    PING = "ping"
    DEAD = "dead"


@define(eq=False)
class Silence:
    """Judges how long nothing was heard. A judge that is late itself was frozen, so the silence counts anew."""

    _heard_at_s: float
    _judged_at_s: float
    _is_pinged: bool = field(default=False, init=False)

    def judge(self, heard_at_s: float, now_s: float) -> tuple[SilenceVerdict, float]:
        """Return what to do, and the seconds of silence; called each JUDGED_EACH_S."""
        if now_s - self._judged_at_s > JUDGED_EACH_S + _LATE_S:
            heard_at_s = max(heard_at_s, now_s)
        self._judged_at_s = now_s
        if heard_at_s > self._heard_at_s:
            self._heard_at_s, self._is_pinged = heard_at_s, False
        quiet_s = now_s - self._heard_at_s
        if quiet_s >= DEAD_AFTER_S:
            return SilenceVerdict.DEAD, quiet_s
        if quiet_s >= PING_AFTER_S and not self._is_pinged:
            self._is_pinged = True
            return SilenceVerdict.PING, quiet_s
        return SilenceVerdict.FINE, quiet_s
