"""What the service is to reach, as ratios within one run."""

from collections.abc import Callable, Iterator, Sequence

from attrs import frozen

from tests.benchmarks.measurement import Measurement
from tests.benchmarks.names import (
    BARE,
    COLD,
    EXPRESS,
    FINISH,
    GET,
    INITIALIZE,
    PGBENCH,
    PGLAMBDA,
    PGLAMBDA_WATCHED,
    PLAIN,
    POST_BESIDE,
    UPDATE,
    WARM,
)

_CONNECTIONS = 64
_SMALL, _LARGE = 10_000, 1_000_000


@frozen
class Facts:
    """All that was measured."""

    measurements: Sequence[Measurement]
    hot_share: float | None = None

    def find(self, system: str, operation: str, sessions: int | None = _SMALL) -> Measurement | None:
        """Return the measurement at 64 connections; None where it was not made. `sessions` None takes any."""
        for each in self.measurements:
            fits = each.system == system and each.operation == operation and each.connections == _CONNECTIONS
            if fits and sessions in (None, each.sessions):
                return each
        return None


@frozen
class Verdict:
    """A target: at least or at most `wanted`; `measured` is None where the run did not measure it."""

    name: str
    at_least: bool
    wanted: float
    measured: float | None
    unit: str = ""

    @property
    def met(self) -> bool | None:
        """Whether it is reached; None when it was not measured."""
        if self.measured is None:
            return None
        return self.measured >= self.wanted if self.at_least else self.measured <= self.wanted


def verdicts(facts: Facts) -> Iterator[Verdict]:
    """Yield every target with what was measured."""
    find = facts.find
    get, bare_get = find(PGLAMBDA, GET), find(BARE, GET, None)
    initialize, bare_post = find(PGLAMBDA, INITIALIZE), find(BARE, INITIALIZE, None)
    yield _at_least("get / bare Starlette", 0.70, _rates(get, bare_get))
    yield _at_least("get / pool per request", 4, _rates(get, find(PLAIN, GET)))
    yield _at_least("get / express-session", 5, _rates(get, find(EXPRESS, GET)))
    yield _at_least(
        "get, authentication, limits, metrics and log on / off", 0.75, _rates(find(PGLAMBDA_WATCHED, GET), get)
    )
    yield _at_least("initialize / bare Starlette POST", 0.45, _rates(initialize, bare_post))
    yield _at_least("initialize / express-session create", 3.5, _rates(initialize, find(EXPRESS, INITIALIZE)))
    yield _at_least("finish, in process / pgbench's UPDATE", 0.7, _rates(find(PGLAMBDA, FINISH), find(PGBENCH, UPDATE)))
    yield _at_most("p99 of get / p99 of bare Starlette", 3, _ratio(get, bare_get, _p99))
    yield _at_most("p50 of get at 1M / at 10k", 1.2, _ratio(find(PGLAMBDA, GET, _LARGE), get, _p50))
    yield _at_least("HOT share of execution updates", 0.95, facts.hot_share)
    for language, share, cold_ms in (("python", 0.15, 15.0), ("nodejs", 0.06, 25.0)):
        warm, cold = find(PGLAMBDA, WARM[language], None), find(PGLAMBDA, COLD[language], None)
        beside = find(BARE, POST_BESIDE[language], None)
        yield _at_least(f"execute, warm {language} / bare Starlette POST", share, _rates(warm, beside))
        yield _at_most(f"execute, cold {language}, p50", cold_ms, cold.p50_ms if cold else None, " ms")


def _at_least(name: str, wanted: float, measured: float | None) -> Verdict:
    return Verdict(name, True, wanted, measured)


def _at_most(name: str, wanted: float, measured: float | None, unit: str = "") -> Verdict:
    return Verdict(name, False, wanted, measured, unit)


def _ratio(one: Measurement | None, other: Measurement | None, value: Callable[[Measurement], float]) -> float | None:
    return None if one is None or other is None else value(one) / value(other)


def _rates(one: Measurement | None, other: Measurement | None) -> float | None:
    return _ratio(one, other, lambda each: each.rate)


def _p50(each: Measurement) -> float:
    return each.p50_ms


def _p99(each: Measurement) -> float:
    return each.p99_ms
