"""The table of the faults: what callers saw, the slowest response, the recovery."""

from collections import Counter
from collections.abc import Iterator

from attrs import astuple, frozen

from tests.faults.history import EXECUTE, Call


@frozen
class Row:
    """One fault as it was measured; times in milliseconds."""

    fault: str
    seen: str
    calls: int
    worst_ms: float
    worst_execute_ms: float
    beyond_ms: float
    recovery_ms: float


ROWS: list[Row] = []
"""What this run has measured."""

NOTES: list[str] = []
"""What else it reports."""


def row_of(fault: str, calls: list[Call], during_s: tuple[float, float] | None, recovery_s: float) -> Row:
    """Return the row of a fault that lasted from one instant to another, or of one whose calls are not reported."""
    began_s, ended_s = during_s or (0.0, 0.0)
    within = [call for call in calls if call.ended_s >= began_s and call.began_s <= ended_s]
    others = [call for call in within if call.operation != EXECUTE]
    executes = [call for call in within if call.operation == EXECUTE]
    return Row(
        fault=fault,
        seen=_seen(within),
        calls=len(within),
        worst_ms=_longest_ms(others),
        worst_execute_ms=_longest_ms(executes),
        beyond_ms=1000 * max(0.0, *(call.over_budget_s for call in calls), 0.0),
        recovery_ms=1000 * recovery_s,
    )


def measured() -> tuple[list[tuple], list[str]]:
    """Return the members of all rows, and all notes, for another process."""
    return [astuple(row) for row in ROWS], NOTES


def add(rows: list[tuple], notes: list[str]) -> None:
    """Add what another process has measured."""
    ROWS.extend(Row(*row) for row in rows)
    NOTES.extend(notes)


def lines() -> Iterator[str]:
    """Yield the table in Markdown."""
    yield "| fault | what callers saw | worst response | worst execute | beyond budget | recovery |"
    yield "|---|---|---|---|---|---|"
    for row in ROWS:
        times = (row.worst_ms, row.worst_execute_ms, row.beyond_ms, row.recovery_ms)
        cells = [f"{time_ms:.0f} ms" for time_ms in times]
        seen = f"{row.calls} calls: {row.seen}" if row.calls else ""
        yield f"| {' | '.join([row.fault, seen, *cells])} |"


def _longest_ms(calls: list[Call]) -> float:
    return 1000 * max((call.ended_s - call.began_s for call in calls), default=0.0)


def _seen(calls: list[Call]) -> str:
    kinds = Counter(_kind(call) for call in calls)
    return ", ".join(f"{round(100 * times / len(calls)) or '<1'} % {kind}" for kind, times in kinds.most_common(6))


def _kind(call: Call) -> str:
    response = call.response
    if response is None:
        return "the caller left" if call.gave_up else "no response"
    if response.code is None:
        return "success"
    facts = [f"{name} {response.details[name]}" for name in ("stored", "executed") if name in response.details]
    return " ".join([str(response.status), response.code, *([f"({', '.join(facts)})"] if facts else [])])
