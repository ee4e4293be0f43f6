"""What a controller knows about its runtime hosts, and which one gets a run; without input, output or a clock."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from typing import Protocol, TypeVar

from attrs import define, field, frozen

from domain.histogram import Histogram
from domain.scripts.language import Language
from domain.stats import PINGS_S

WINDOW_START = 16
WINDOW_MAX = 1024
RUNNING_START = 64
"""The `runs_max` of a host that has not told it."""
TRIES_MAX = 3
"""Hosts that one run is sent to at most, each after one that started nothing."""

_OVERDUE_MAX = 3
_ENDS_FOR_OVERDUE = 10
"""So many ends outweigh one run that did not end in its time: a host that loses a tenth of its runs loses its trust."""
DISTRUSTED_S = 30.0
DISTRUSTED = "distrusted"
"""What a host is counted as while it is distrusted, whatever its condition."""


def ignore_change() -> None:
    """Take no note of a change of a host."""


class Condition(StrEnum):
    """Why a host gets runs, or none. Only those that are READY or HTTP do."""

    CONNECTING = "connecting"
    READY = "ready"
    HTTP = "http"
    DRAINING = "draining"
    SILENT = "silent"
    UNREACHED = "unreached"
    REFUSED = "refused"
    INCOMPATIBLE = "incompatible"


LEFT_AS = (Condition.DRAINING, Condition.SILENT, Condition.UNREACHED)
"""What a host with a stream can come to."""


class UnknownReason(StrEnum):
    """Why the end of a run is unknown: the host was lost, or late, or what it sent is not valid."""

    LOST = "lost"
    LATE = "late"
    INVALID = "invalid"


@define(eq=False)
class StreamCounts:
    """Counts of all hosts of a process.

    `left` is how often one stopped getting runs, by the condition that it came to. `unknown` are the runs whose end is
    unknown by reason, `messages` those of streams by kind, and `pings_s` the seconds that pings took.
    """

    left: Counter[str] = field(factory=Counter)
    unknown: Counter[str] = field(factory=Counter)
    messages: Counter[int] = field(factory=Counter)
    pings_s: Histogram = field(factory=lambda: Histogram(PINGS_S))


@define(eq=False)
class HostView:
    """The state of one host, for one process.

    `window` bounds the runs in flight, which this process has sent and whose end it does not know. The host claims to
    run `runs_max` at once, and `reported` run or wait there, of all controllers. `reason` says why it gets no runs.
    """

    condition: Condition = Condition.CONNECTING
    reason: str = ""
    in_flight: int = 0
    window: float = WINDOW_START
    runs_max: int = RUNNING_START
    counts: StreamCounts = field(factory=StreamCounts)
    """Those of all hosts of the process."""
    reported: int = 0
    unavailable: Collection[str] = ()
    """The languages that the host cannot run now."""
    release: str = ""
    """What it runs, and its `features`, as its welcome says."""
    features: Collection[str] = ()
    name: str = ""
    """What the host calls itself, as soon as it has a stream."""
    unknown: int = field(default=0, init=False)
    """The runs whose end is unknown."""
    ping_s: float | None = field(default=None, init=False)
    """How long the last ping took."""
    distrust: str = field(default="", init=False)
    """Why it was distrusted last."""
    _doubt: int = field(default=0, init=False)
    _distrusted_until_s: float = field(default=0.0, init=False)

    @property
    def load(self) -> float:
        """The runs at the host by those that it runs at once; what this process has sent counts at once."""
        return max(self.reported, self.in_flight) / self.runs_max

    @property
    def has_room(self) -> bool:
        """Whether the window allows one more run."""
        return self.in_flight < int(self.window)

    @property
    def is_full(self) -> bool:
        """Whether so many runs are in flight as the turns of all languages allow, each of which may fill the window."""
        return self.in_flight >= int(self.window) * len(Language)

    def is_distrusted(self, now_s: float) -> bool:
        """Whether it broke the protocol, or did not end runs, a short time ago."""
        return now_s < self._distrusted_until_s

    def standing(self, now_s: float) -> str:
        """Return what it is counted as."""
        return DISTRUSTED if self.is_distrusted(now_s) else self.condition.value

    def takes_runs(self, now_s: float) -> bool:
        """Whether it may get a run."""
        return self.condition in (Condition.READY, Condition.HTTP) and not self.is_distrusted(now_s)

    def serves(self, language: Language, now_s: float) -> bool:
        """Whether it may get a run of a language, and would start it."""
        return self.takes_runs(now_s) and language not in self.unavailable

    def refusal(self, now_s: float) -> str:
        """Return why it gets no run."""
        if self.is_distrusted(now_s):
            return f"it is left for {DISTRUSTED_S:g} s: {self.distrust}"
        if self.takes_runs(now_s):
            return f"its sandbox cannot run {', '.join(sorted(self.unavailable))} now; its /health has the reason"
        return self.reason or "it cannot be reached (no stream yet)"

    def claim(self, runs_max: int) -> None:
        """Take note of how many runs the host runs at once. What it reported on an earlier stream is over."""
        self.reported = 0
        self.runs_max = max(1, min(runs_max, WINDOW_MAX))
        self.window = max(1.0, min(self.window, self.runs_max))

    def ended(self, *, was_refused: bool) -> None:
        """Take note of the end of a run: the window grows, or halves if the host had no time for the run."""
        if not was_refused:
            self._doubt = max(0, self._doubt - 1)
        grown = self.window / 2 if was_refused else self.window + 1
        self.window = max(1.0, min(grown, self.runs_max))

    def overdue(self, now_s: float) -> None:
        """Take note of a run that did not end in its time; several cost the host its trust, unless many others end."""
        self._doubt += _ENDS_FOR_OVERDUE
        if self._doubt >= _OVERDUE_MAX * _ENDS_FOR_OVERDUE:
            self._doubt = 0
            self.leave(now_s, "a tenth of its runs, or more, did not end in their time")

    def leave(self, now_s: float, reason: str) -> None:
        """Distrust it, and give it no runs for a while."""
        self.counts.left[DISTRUSTED] += 1
        self._distrusted_until_s, self.distrust = now_s + DISTRUSTED_S, reason

    def become(self, condition: Condition, reason: str = "") -> None:
        """Change the condition."""
        if self.condition is Condition.READY and condition is not Condition.READY:
            self.counts.left[condition] += 1
        self.condition, self.reason = condition, reason

    def lose(self, reason: UnknownReason) -> None:
        """Count a run whose end is unknown."""
        self.unknown += 1
        self.counts.unknown[reason] += 1

    def ponged(self, took_s: float) -> None:
        """Take note of the reply to a ping."""
        self.ping_s = took_s
        self.counts.pings_s.add(took_s)


class Stateful(Protocol):
    """What has the state of a host."""

    @property
    def state(self) -> HostView:
        """The state."""
        ...


Host = TypeVar("Host", bound=Stateful)


class Choice(StrEnum):
    """Why a host was chosen."""

    WARM = "warm"
    FIRST = "first"
    LESS_LOADED = "less_loaded"
    NO_ROOM = "no_room"


@frozen
class LoadMargin:
    """By how much another host must have less load than the preferred one, so that it gets the run.

    That is a share of what the preferred one runs at once, and a number of runs at most: a host may run far more at
    once than its processors have time for. It is `warm_times` as much if the preferred one ran the session last.
    """

    share: float = 0.25
    runs: int = 16
    warm_times: int = 2

    def at(self, preferred: HostView) -> float:
        """Return the margin at a host."""
        return min(self.share, self.runs / preferred.runs_max)


LOAD_MARGIN = LoadMargin()


def choose(
    ranked: Iterable[Host], warm: Host | None, language: Language, now_s: float, margin: LoadMargin = LOAD_MARGIN
) -> tuple[Sequence[Host], Choice]:
    """Return the hosts to try for a run of a language, in order, and why the first one is first.

    `ranked` are all hosts of the language, by their rank for the session; no more of them are looked at than needed.
    Of the two best hosts with room the first is taken, unless the second has less load by the margin. `warm` is the one
    that ran the session last; it is kept, unless the better of the two has less load by a larger margin. Hosts
    that would start nothing come last: a run that no other host takes learns why.
    """
    roomy: list[Host] = []
    full: list[Host] = []
    others: list[Host] = []
    for host in ranked:
        is_possible = host.state.serves(language, now_s) and not host.state.is_full
        (others if not is_possible else roomy if host.state.has_room else full).append(host)
        if len(roomy) == TRIES_MAX:
            break
    is_warm = warm is not None and warm.state.has_room and warm.state.serves(language, now_s)
    first, choice = _preferred(roomy, warm if is_warm else None, margin)
    ordered = [*roomy, *full, *others]
    if first is not None:
        ordered = [first, *(host for host in ordered if host is not first)]
    return ordered[:TRIES_MAX], choice


def _preferred(roomy: Sequence[Host], warm: Host | None, margin: LoadMargin) -> tuple[Host | None, Choice]:
    if not roomy:
        return (None, Choice.NO_ROOM) if warm is None else (warm, Choice.WARM)
    first, *others = roomy
    is_second = bool(others) and others[0].state.load + margin.at(first.state) <= first.state.load
    best = others[0] if is_second else first
    if warm is None:
        return best, Choice.LESS_LOADED if is_second else Choice.FIRST
    if best.state.load + margin.warm_times * margin.at(warm.state) <= warm.state.load:
        return best, Choice.LESS_LOADED
    return warm, Choice.WARM
