"""The picture of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.measurement import Measurement
from tests.benchmarks.names import BARE, BEGIN, EXPRESS, FINISH, GET, INITIALIZE, PATCH, PGBENCH, PGLAMBDA, PLAIN
from tests.benchmarks.targets import Facts, Verdict, verdicts

_CONNECTIONS = 64
_SYSTEMS = {BARE: "#9e9e9e", PGLAMBDA: "#1565c0", PGBENCH: "#6a9f58", PLAIN: "#e39f2e", EXPRESS: "#b4432e"}
_COMPARED = (GET, INITIALIZE, PATCH)
_CURVES = {GET: "#1565c0", INITIALIZE: "#b4432e", PATCH: "#e39f2e", BEGIN: "#6a9f58", FINISH: "#7b4fa3"}


def write_plots(folder: Path, facts: Facts) -> list[Path]:
    """Write the picture as PNG and SVG; raises ImportError when matplotlib is not installed."""
    import matplotlib as mpl  # noqa: PLC0415  # the numbers are of use without the picture

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, ((rates, targets), (throughput, latency)) = plt.subplots(2, 2, figsize=(15, 10), layout="constrained")
    smallest = min((each.sessions for each in facts.measurements if each.sessions and each.operation == GET), default=0)
    _draw_rates(rates, facts.measurements, smallest)
    _draw_targets(targets, [each for each in verdicts(facts) if each.measured is not None])
    own = [each for each in facts.measurements if each.system == PGLAMBDA and each.sessions == smallest]
    _draw_curves(throughput, own, "rate", "per second")
    _draw_curves(latency, own, "p99_ms", "p99 in ms")
    latency.set_yscale("log")
    paths = [folder / "bench.png", folder / "bench.svg"]
    for path in paths:
        figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
    return paths


def _draw_rates(axes: Any, measurements: Sequence[Measurement], sessions: int) -> None:
    width = 0.8 / len(_SYSTEMS)
    for place, (system, color) in enumerate(_SYSTEMS.items()):
        rates = [_rate(measurements, system, operation, sessions) for operation in _COMPARED]
        bars = axes.bar([at + place * width for at in range(len(_COMPARED))], rates, width, label=system, color=color)
        axes.bar_label(bars, [f"{rate / 1000:.1f}k" if rate else "" for rate in rates], fontsize=8)
    axes.set_xticks([at + 0.4 - width / 2 for at in range(len(_COMPARED))], _COMPARED)
    axes.set_title(f"{_CONNECTIONS} connections, {sessions:,} sessions")
    axes.set_ylabel("per second")
    axes.legend()


def _draw_targets(axes: Any, measured: Sequence[Verdict]) -> None:
    """Draw how far each target is reached: right of the line it is."""
    names = [each.name for each in measured]
    reached = [_reached(each) for each in measured]
    axes.barh(names, reached, color=["#2e7d32" if each.met else "#c62828" for each in measured])
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.invert_yaxis()
    axes.set_title("Reached, in parts of the target (1 and more: met)")


def _draw_curves(axes: Any, measurements: Sequence[Measurement], value: str, label: str) -> None:
    for operation, color in _CURVES.items():
        line = sorted((each for each in measurements if each.operation == operation), key=lambda each: each.connections)
        if line:
            points = [getattr(each, value) for each in line]
            axes.plot([each.connections for each in line], points, marker="o", label=operation, color=color)
    axes.set_xscale("log", base=2)
    axes.set_xticks(sorted({each.connections for each in measurements}))
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.set_xlabel("connections (callers within the process for begin and finish)")
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()


def _rate(measurements: Sequence[Measurement], system: str, operation: str, sessions: int) -> float:
    wanted = (system, operation, _CONNECTIONS)
    found = [each.rate for each in measurements if each.case[:3] == wanted and each.sessions in (0, sessions)]
    return found[0] if found else 0.0


def _reached(verdict: Verdict) -> float:
    measured = verdict.measured or 0.0
    return measured / verdict.wanted if verdict.at_least else verdict.wanted / max(measured, 1e-9)
