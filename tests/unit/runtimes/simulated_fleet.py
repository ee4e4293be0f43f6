"""A fleet of runtime hosts in virtual time, seeded: what the rule that chooses a host costs callers.

Hosts share their processors among what runs. A session that is new to a host costs a cold start there. Each controller
knows of the others' runs what hosts report, which is up to 0.1 s old.
"""

import heapq
import itertools
import random
import statistics
from collections import OrderedDict
from collections.abc import Sequence
from uuid import UUID

from attrs import define, field, frozen

from adapters.remote_runtime.fleet import LOAD_MARGIN, Condition, HostView, LoadMargin, choose
from adapters.remote_runtime.ranks import RankedHosts
from domain.scripts.language import Language

REPORTED_EACH_S = 0.1


@frozen
class Workload:
    """Times in seconds of processor time. `utilization` is the part of all processors that warm executions need."""

    hosts: int = 8
    controllers: int = 2
    processors: int = 4
    runs_max: int = 64
    warm_max: int = 256
    sessions: int = 1000
    skew: float = 0.6
    """The exponent by which the popularity of sessions falls (Zipf)."""
    work_s: float = 0.010
    cold_s: float = 0.010
    utilization: float = 0.7
    runs: int = 20_000
    unmeasured: int = 5_000
    """The first runs, whose sessions are mostly new."""


@frozen
class Outcome:
    """Milliseconds from the call to its end, and parts of all runs."""

    mean_ms: float
    p99_ms: float
    cold: float
    busiest: float
    """The part of the runs at the host that had most, by the part at each if all had the same."""


@define(eq=False)
class SimulatedHost:
    """Shares its processors among its runs; `progress_s` is the work that each run has had since the beginning."""

    load: Workload
    progress_s: float = 0.0
    at_s: float = 0.0
    runs: list[tuple[float, int]] = field(factory=list)
    warm: OrderedDict[UUID, None] = field(factory=OrderedDict)
    count: int = 0

    def advance(self, now_s: float) -> None:
        """Work until now."""
        self.progress_s += (now_s - self.at_s) * self.speed
        self.at_s = now_s

    @property
    def speed(self) -> float:
        return min(1.0, self.load.processors / max(1, len(self.runs)))

    @property
    def ends_at_s(self) -> float:
        """When the next run ends, as things are."""
        return self.at_s + max(0.0, self.runs[0][0] - self.progress_s) / self.speed if self.runs else float("inf")

    def begin(self, number: int, session: UUID, work_s: float) -> bool:
        """Start a run; return whether it is cold."""
        is_cold = session not in self.warm
        self.warm[session] = None
        self.warm.move_to_end(session)
        if len(self.warm) > self.load.warm_max:
            self.warm.popitem(last=False)
        heapq.heappush(self.runs, (self.progress_s + work_s + (self.load.cold_s if is_cold else 0.0), number))
        self.count += 1
        return is_cold


@define(eq=False)
class KnownHost:
    """A host as one controller knows it."""

    host: SimulatedHost
    state: HostView


@define(eq=False)
class Controller:
    """Chooses hosts as a process of a controller does."""

    ranks: RankedHosts[KnownHost]
    prefers_warm: bool
    margin: LoadMargin
    last: dict[UUID, KnownHost] = field(factory=dict)

    def chosen(self, session: UUID) -> KnownHost:
        warm = self.last.get(session) if self.prefers_warm else None
        hosts, _ = choose(self.ranks.of_session(session), warm, Language.PYTHON, 0.0, self.margin)
        self.last[session] = hosts[0]
        return hosts[0]


def simulated(load: Workload, margin: LoadMargin = LOAD_MARGIN, *, prefers_warm: bool = True, seed: int = 1) -> Outcome:
    """Return what callers of this workload get."""
    dice = random.Random(seed)
    hosts = [SimulatedHost(load) for _ in range(load.hosts)]
    controllers = [Controller(_known(hosts, load), prefers_warm, margin) for _ in range(load.controllers)]
    sessions = [UUID(int=dice.getrandbits(128)) for _ in range(load.sessions)]
    weights = list(itertools.accumulate(1 / (rank + 1) ** load.skew for rank in range(load.sessions)))
    each_s = load.work_s / (load.utilization * load.processors * load.hosts)
    now_s, reports_at_s, colds = 0.0, 0.0, 0
    begun: dict[int, tuple[float, KnownHost]] = {}
    times_s: list[float] = []
    for number in range(load.runs):
        now_s += dice.expovariate(1 / each_s)
        times_s += _ended(hosts, begun, now_s)
        if now_s >= reports_at_s:
            reports_at_s = now_s + REPORTED_EACH_S
            _report(controllers)
        (session,) = dice.choices(sessions, cum_weights=weights)
        known = dice.choice(controllers).chosen(session)
        known.state.in_flight += 1
        begun[number] = (now_s, known)
        known.host.advance(now_s)
        is_cold = known.host.begin(number, session, dice.expovariate(1 / load.work_s))
        colds += is_cold and number >= load.unmeasured
    times_s += _ended(hosts, begun, float("inf"))
    p99_s = statistics.quantiles(times_s, n=100)[-1]
    busiest = max(host.count for host in hosts) * load.hosts / load.runs
    return Outcome(statistics.fmean(times_s) * 1000, p99_s * 1000, colds / len(times_s), busiest)


def _known(hosts: Sequence[SimulatedHost], load: Workload) -> RankedHosts[KnownHost]:
    known = {}
    for number, host in enumerate(hosts):
        state = HostView(Condition.READY)
        state.claim(load.runs_max)
        known[f"http://10.0.0.{number}:8090"] = KnownHost(host, state)
    return RankedHosts(known)


def _ended(hosts: Sequence[SimulatedHost], begun: dict[int, tuple[float, KnownHost]], until_s: float) -> list[float]:
    """End the runs that end until then, and return how long each took."""
    times_s = []
    for host in hosts:
        while (at_s := host.ends_at_s) <= until_s and host.runs:
            host.advance(at_s)
            _, number = heapq.heappop(host.runs)
            began_s, known = begun.pop(number)
            known.state.in_flight -= 1
            known.state.ended(was_refused=False)
            if number >= host.load.unmeasured:
                times_s.append(at_s - began_s)
    return times_s


def _report(controllers: Sequence[Controller]) -> None:
    for controller in controllers:
        for known in controller.ranks.hosts.values():
            known.state.reported = len(known.host.runs)
