"""What the service is to reach, as ratios within one run."""

import statistics
from collections.abc import Iterator, Mapping, Sequence

from attrs import field, frozen

from tests.benchmarks.measurement import Measurement
from tests.benchmarks.names import (
    ACCEPT,
    BARE,
    BURST,
    CLAIM,
    CLAIM_DEAD,
    DRAIN,
    EXPRESS,
    FINISH,
    FIRST,
    GET,
    INITIALIZE,
    INITIALIZE_BESIDE,
    LAUNCHER,
    NEW_SCRIPTS,
    PACED,
    PGBENCH,
    PGLAMBDA,
    PGLAMBDA_WATCHED,
    PGQUEUER,
    PGQUEUER_TUNED,
    PLAIN,
    POST_BESIDE,
    PROCRASTINATE,
    SAME_SCRIPT,
    START,
    START_AFTER_IDLING,
    START_ELSEWHERE,
    UPDATE,
    WARM,
)

_CONNECTIONS = 64
_SMALL, _LARGE = 10_000, 1_000_000
_FIRST_TARGETS = {"python": (1.1, 7500.0), "nodejs": (3.0, 10000.0)}
"""Rate in parts of the launcher's, and processor time in microseconds, of a first execution."""


@frozen
class Facts:
    """All that was measured; `private_mib` is the median of warm workers by language."""

    measurements: Sequence[Measurement]
    hot_share: float | None = None
    private_mib: Mapping[str, float] = field(factory=dict)

    def find(self, system: str, operation: str, sessions: int | None = _SMALL) -> Measurement | None:
        """Return the measurement at 64 connections; None where it was not made. `sessions` None takes any."""
        for each in self.named(system, operation):
            if each.connections == _CONNECTIONS and sessions in (None, each.sessions):
                return each
        return None

    def named(self, system: str, operation: str) -> Iterator[Measurement]:
        """Yield the measurements of this name."""
        return (each for each in self.measurements if each.system == system and each.operation == operation)

    def first(self, system: str, operation: str) -> Measurement | None:
        """Return the first measurement of this name, however many connections it had."""
        return next(self.named(system, operation), None)


@frozen
class Verdict:
    """A target: at least or at most `wanted`; `measured` is None where the run did not measure it.

    `spread` is the least and the greatest of the turns, where contenders were measured in turns.
    """

    name: str
    at_least: bool
    wanted: float
    measured: float | None
    unit: str = ""
    spread: tuple[float, float] | None = None

    @property
    def met(self) -> bool | None:
        """Whether it is reached; None when it was not measured."""
        if self.measured is None:
            return None
        return self.measured >= self.wanted if self.at_least else self.measured <= self.wanted


def verdicts(facts: Facts) -> Iterator[Verdict]:
    """Yield every target with what was measured."""
    yield from _of_sessions(facts)
    yield from _of_executions(facts)
    yield from queue_targets(facts)
    yield from _of_starts(facts)


def _of_sessions(facts: Facts) -> Iterator[Verdict]:
    find = facts.find
    get, bare_get = find(PGLAMBDA, GET), find(BARE, GET, None)
    initialize, bare_post = find(PGLAMBDA, INITIALIZE), find(BARE, INITIALIZE, None)
    yield _ratio("get / bare Starlette", 0.55, get, bare_get)
    yield _ratio("get / pool per request", 4, get, find(PLAIN, GET))
    yield _ratio("get / express-session", 4, get, find(EXPRESS, GET))
    yield _ratio("get, authentication, limits and scrapes on / off", 0.75, find(PGLAMBDA_WATCHED, GET), get)
    yield _ratio("initialize / bare Starlette POST", 0.45, initialize, bare_post)
    yield _ratio("initialize / express-session create", 3.5, initialize, find(EXPRESS, INITIALIZE))
    for language, name in NEW_SCRIPTS.items():
        new, same = find(PGLAMBDA, name, None), find(PGLAMBDA, SAME_SCRIPT[language], None)
        yield _ratio(f"initialize, new {language} scripts / one script", 0.6, new, same)
        yield _at_most(f"initialize, new {language} scripts, refused", 0, new and new.errors)
    yield _ratio("finish, in process / pgbench's UPDATE", 0.7, find(PGLAMBDA, FINISH), find(PGBENCH, UPDATE))
    yield _at_most("p99 of get / p99 of bare Starlette", 3, get and bare_get and get.p99_ms / bare_get.p99_ms)
    large = find(PGLAMBDA, GET, _LARGE)
    yield _at_most("p50 of get at 1M / at 10k", 1.2, get and large and large.p50_ms / get.p50_ms)
    yield Verdict("HOT share of execution updates", at_least=True, wanted=0.95, measured=facts.hot_share)


def _of_executions(facts: Facts) -> Iterator[Verdict]:
    for language, share in (("python", 0.17), ("nodejs", 0.09)):
        warm, beside = facts.find(PGLAMBDA, WARM[language], None), facts.find(BARE, POST_BESIDE[language], None)
        yield _ratio(f"execute, warm {language} / bare Starlette POST", share, warm, beside)


def queue_targets(facts: Facts) -> Iterator[Verdict]:
    """Yield the targets of the queue of executions."""
    first = facts.first
    yield _ratio("accept / initialize", 0.9, first(PGLAMBDA, ACCEPT), first(PGLAMBDA, INITIALIZE_BESIDE))
    drained = first(PGLAMBDA, DRAIN)
    yield _ratio("drain of no-ops / pgqueuer on psycopg", 1.0, drained, first(PGQUEUER, DRAIN))
    yield _ratio("drain of no-ops / pgqueuer, large batches", 1.0, drained, first(PGQUEUER_TUNED, DRAIN))
    yield _ratio("drain of no-ops / procrastinate", 3, drained, first(PROCRASTINATE, DRAIN))
    for name, wanted_ms in ((START, 5), (START_ELSEWHERE, 60), (START_AFTER_IDLING, 1000)):
        found = first(PGLAMBDA, name)
        yield _at_most(f"p50 from the call to the {name}", wanted_ms, found and found.p50_ms, " ms")
    few, *more = sorted(facts.named(PGLAMBDA, CLAIM), key=lambda each: each.sessions) or (None,)
    many, behind = more[-1] if more else None, first(PGLAMBDA, CLAIM_DEAD)
    size = f"{many.sessions:,}" if many else "many"
    yield _at_most(f"p50 of a claim of {size} entries / of 10,000", 1.2, few and many and many.p50_ms / few.p50_ms)
    yield _at_most("the same behind dead rows", 1.2, few and behind and behind.p50_ms / few.p50_ms)


def _of_starts(facts: Facts) -> Iterator[Verdict]:
    for language, (share, processor_us) in _FIRST_TARGETS.items():
        first = facts.first(PGLAMBDA, FIRST[language])
        launcher = facts.first(LAUNCHER, FIRST[language])
        paced, burst = facts.first(PGLAMBDA, PACED[language]), facts.first(PGLAMBDA, BURST[language])
        yield _ratio(f"first executions, {language} / bubblewrap and interpreter, 2 loops", share, first, launcher)
        yield _at_most(
            f"processor time of a first execution, {language}", processor_us, first and _all_us(first), " us"
        )
        yield _at_most(f"p99 of 100 first executions a second, {language}", 200, paced and paced.p99_ms, " ms")
        yield _at_most(f"refused of 200 first executions at once, {language}", 0, burst and burst.errors)
        yield _at_most(f"p99 of 200 first executions at once, {language}", 2000, burst and burst.p99_ms, " ms")
        yield _at_most(f"private memory of a warm worker, {language}", 2, facts.private_mib.get(language), " MiB")


def _ratio(name: str, wanted: float, one: Measurement | None, other: Measurement | None) -> Verdict:
    """Return the target for a ratio of rates: the median over turns that were taken beside each other."""
    if one is None or other is None:
        return Verdict(name, at_least=True, wanted=wanted, measured=None)
    if not one.run or one.run != other.run:
        return Verdict(name, at_least=True, wanted=wanted, measured=one.rate / other.rate)
    ratios = [mine.rate / theirs.rate for mine, theirs in zip(one.turns, other.turns, strict=True)]
    spread = min(ratios), max(ratios)
    return Verdict(name, at_least=True, wanted=wanted, measured=statistics.median(ratios), spread=spread)


def _at_most(name: str, wanted: float, measured: float | None, unit: str = "") -> Verdict:
    return Verdict(name, at_least=False, wanted=wanted, measured=measured, unit=unit)


def _all_us(each: Measurement) -> float:
    """Return the processor time of all processes for one execution."""
    return sum((each.service_us or 0.0, each.workers_us or 0.0, each.database_us or 0.0))
