"""The tables that people read, and the statistics that programs read."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from attrs import asdict

from tests.benchmarks.measurement import Measurement
from tests.benchmarks.targets import Facts, Verdict, verdicts

_COLUMNS: Mapping[str, Callable[[Measurement], str]] = {
    "system": lambda each: each.system,
    "operation": lambda each: each.operation,
    "conns": lambda each: str(each.connections),
    "sessions": lambda each: f"{each.sessions:,}" if each.sessions else "-",
    "per second": lambda each: f"{each.rate:,.0f}",
    "p50 ms": lambda each: f"{each.p50_ms:.2f}",
    "p99 ms": lambda each: f"{each.p99_ms:.2f}",
    "service us": lambda each: _number(each.service_us),
    "scripts us": lambda each: _number(each.workers_us),
    "PG us": lambda each: _number(each.database_us),
    "PSS MiB": lambda each: _number(each.pss_mib),
    "RSS MiB": lambda each: _number(each.rss_mib),
    "load core": lambda each: "-" if each.load_share is None else f"{each.load_share:.0%}",
    "errors": lambda each: str(each.errors or ""),
}
_TEXT_COLUMNS = 2
_MET = {True: "met", False: "NOT MET", None: "not measured"}


def measurement_table(measurements: Sequence[Measurement]) -> str:
    """Return a line for each measurement; processor times are for one operation."""
    rows = [[cell(each) for cell in _COLUMNS.values()] for each in measurements]
    return _table(list(_COLUMNS), rows)


def verdict_table(facts: Facts, wanted: Callable[[Facts], Iterable[Verdict]] = verdicts) -> str:
    """Return a line for each target."""
    rows = [
        [
            each.name,
            f"{'at least' if each.at_least else 'at most'} {each.wanted:g}{each.unit}",
            "-" if each.measured is None else f"{each.measured:.3g}{each.unit}",
            "-" if each.spread is None else f"{each.spread[0]:.3g} to {each.spread[1]:.3g}",
            _MET[each.met],
        ]
        for each in wanted(facts)
    ]
    return _table(["figure", "target", "median", "spread", ""], rows)


def ceiling(measurements: Iterable[Measurement]) -> str:
    """Say what the load generator could do at the most, by what it took of its core."""
    known = [each for each in measurements if each.load_share]
    if not known:
        return ""
    busiest = max(known, key=lambda each: each.load_share or 0.0)
    most = busiest.rate / (busiest.load_share or 1.0)
    return (
        f"The load generator took at most {busiest.load_share:.0%} of its core ({busiest.system}, {busiest.operation}, "
        f"{busiest.rate:,.0f}/s), so it could send about {most:,.0f}/s; PostgreSQL has the rest of that core."
    )


def write_statistics(path: Path, facts: Facts, machine: Mapping[str, object], notes: Sequence[str]) -> None:
    """Write all statistics as JSON."""
    statistics = {
        "machine": machine,
        "measurements": [asdict(each) for each in facts.measurements],
        "hot_share": facts.hot_share,
        "private_mib": dict(facts.private_mib),
        "targets": [asdict(each) | {"met": each.met} for each in verdicts(facts)],
        "notes": notes,
    }
    path.write_text(json.dumps(statistics, indent=1) + "\n", encoding="utf-8")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]
    return "\n".join(_line(line, widths) for line in (head, ["-" * width for width in widths], *rows))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if column < _TEXT_COLUMNS else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()
