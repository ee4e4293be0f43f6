"""Figures of buckets beside a plain database: what is wanted of them, and their tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from attrs import frozen

PLAIN = "plain"
"""The side with which others are compared."""

WANTED = {"get": 0.8, "begin": 0.7, "finish": 0.5}
"""The least share of a plain database, by kinds of calls, with WANTED_BUCKETS."""
WANTED_BUCKETS = 4


@frozen
class Cost:
    """Calls a second; microseconds of processor time of a call, of the process and of the server; calls a statement."""

    calls_s: float
    process_us: float
    server_us: float
    statement_calls: float

    @property
    def both_us(self) -> float:
        """The processor time of a call."""
        return self.process_us + self.server_us


@frozen
class BackendMemory:
    """Connections of a side, and the memory of their server processes that is in no shared mapping, in MB."""

    connections: int
    largest_mb: float
    all_mb: float


def memory_of(pids: Sequence[int]) -> BackendMemory:
    """Return the memory of server processes."""
    found = [_anonymous_mb(Path(f"/proc/{pid}/status").read_text()) for pid in pids]
    return BackendMemory(len(found), max(found), sum(found))


def _anonymous_mb(status: str) -> float:
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:")) / 1000


Costs = dict[tuple[str, str], list[Cost]]
"""By sides and kinds of calls."""


def text_of(costs: Costs, memory: Mapping[str, BackendMemory], judged: Sequence[str]) -> str:
    """Return the tables of medians, and for the sides that are `judged` whether they are as wanted."""
    return "\n\n".join((_cost_table(costs, list(memory)), _memory_table(memory), _verdicts(costs, judged)))


def _cost_table(costs: Costs, sides: Sequence[str]) -> str:
    lines = [
        "| calls of 64 callers | side | calls/s | calls a statement | process, us | server, us | share of plain |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in WANTED:
        for side in sides:
            calls_s, statement_calls, process_us, server_us = (
                median(getattr(cost, name) for cost in costs[side, kind])
                for name in ("calls_s", "statement_calls", "process_us", "server_us")
            )
            figures = f"{calls_s:.0f} | {statement_calls:.1f} | {process_us:.1f} | {server_us:.1f}"
            lines.append(f"| {kind} | {side} | {figures} | {_share(costs, side, kind):.2f} |")
    return "\n".join(lines)


def _share(costs: Costs, side: str, kind: str) -> float:
    """Return the processor time of a call on a plain database, as a share of that of this side."""
    plain_us, both_us = (median(cost.both_us for cost in costs[name, kind]) for name in (PLAIN, side))
    return plain_us / both_us


def _memory_table(memory: Mapping[str, BackendMemory]) -> str:
    lines = ["| side | connections to nodes | largest, MB | all, MB |", "|---|---|---|---|"]
    for name, each in memory.items():
        lines.append(f"| {name} | {each.connections} | {each.largest_mb:.1f} | {each.all_mb:.0f} |")
    return "\n".join(lines)


def _verdicts(costs: Costs, sides: Sequence[str]) -> str:
    lines = []
    for side in sides:
        for kind, wanted in WANTED.items():
            share = _share(costs, side, kind)
            verdict = "MET" if share >= wanted else "NOT MET"
            lines.append(f"{kind}, {side}: {share:.2f} of plain (at least {wanted}): {verdict}")
    return "\n".join(lines)
