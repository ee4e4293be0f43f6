"""The two clocks, and the way between them."""

from collections.abc import Iterator

from domain.inspection import ClockFacts
from entrypoints.cli.diagnosis.finding import Finding, note, ok, problem, warning
from entrypoints.settings.settings import Settings

SUBJECT = "clock"
_BOUND_MS_MAX = 500
_OFFSET_MS_NOTED = 500
_OFFSET_MS_MAX = 60_000
_ROUND_TRIP_SHARE_MAX = 0.05


def judge_clock(facts: ClockFacts, settings: Settings) -> list[Finding]:
    """Return what is to be said of the database's clock and this host's."""
    return [*_bound(facts), *_offset(facts), *_way(facts, settings)]


def _bound(facts: ClockFacts) -> Iterator[Finding]:
    if facts.error_bound_ms > _BOUND_MS_MAX:
        yield problem(
            SUBJECT,
            f"the database's time can be known to {facts.error_bound_ms:.0f} ms only",
            f"A controller is not ready above {_BOUND_MS_MAX} ms: controllers would disagree about what has expired.",
            "Bring the service nearer to its database, or find what delays answers.",
        )


def _offset(facts: ClockFacts) -> Iterator[Finding]:
    ahead = "ahead of" if facts.offset_ms >= 0 else "behind"
    seen = (
        f"the database's clock is {abs(facts.offset_ms):.1f} ms {ahead} this host's, known to "
        f"{facts.error_bound_ms:.1f} ms"
    )
    why = "Sessions are judged by the database's clock alone; times in this host's logs are off by as much."
    remedy = "Let both hosts take their time from the network (chrony, systemd-timesyncd)."
    if abs(facts.offset_ms) > _OFFSET_MS_MAX:
        yield warning(SUBJECT, seen, f"{why} Tokens from elsewhere seem expired, or not valid yet.", remedy)
    elif abs(facts.offset_ms) > _OFFSET_MS_NOTED:
        yield note(SUBJECT, seen, why, remedy)
    else:
        yield ok(SUBJECT, seen)


def _way(facts: ClockFacts, settings: Settings) -> Iterator[Finding]:
    share = facts.round_trip_ms / settings.request_timeout_ms
    if share > _ROUND_TRIP_SHARE_MAX:
        yield warning(
            SUBJECT,
            f"a round trip to the database takes {facts.round_trip_ms:.0f} ms",
            f"REQUEST_TIMEOUT_MS is {settings.request_timeout_ms}, of which an execute spends two round trips at least.",
            "Bring the service nearer to its database, or raise REQUEST_TIMEOUT_MS.",
        )
    else:
        yield ok(SUBJECT, f"a round trip to the database takes {facts.round_trip_ms:.2f} ms")
