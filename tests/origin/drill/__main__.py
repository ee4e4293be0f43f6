"""Takeovers under load, there and back and there again to the end, with kills at random points.

Every run has a seed of its own; every second one authenticates its clients. A run passes if no session is lost, none is
served by both sides, and every count is that of the executions.
"""

import argparse
import asyncio
import json
import signal
import statistics
import sys
from pathlib import Path

from tests.origin.databases import programs_in
from tests.origin.drill.run import Plan, Report, drill
from tests.origin.drill.world import servers


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.origin.drill", description=__doc__)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; each further run has the next one")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--idle", type=int, default=2000, help="live sessions that no client calls")
    parser.add_argument("--settle-seconds", type=int, default=3)
    parser.add_argument("--no-kills", action="store_true", help="kill nothing: then no call may fail")
    parser.add_argument("--generation", choices=("g1", "g3"), help="without, every third run is of g1")
    parser.add_argument(
        "--origin-postgres", type=programs_in, help="the folder of another PostgreSQL for the origin, which has bin"
    )
    parser.add_argument("--output", type=Path, help="a file that gets a line of JSON for each run")
    return parser


def _line(report: Report) -> str:
    return json.dumps(report.facts())


def main() -> None:
    """Make the runs; the exit status is 1 if one of them has not passed."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that its servers end with it
    reports: list[Report] = []
    with servers(options.origin_postgres) as (there, here):
        for number in range(options.runs):
            seed = options.seed + number
            generation = options.generation or ("g1" if seed % 3 == 0 else "g3")
            kinds = {"kills": not options.no_kills, "authenticated": seed % 2 == 0}
            plan = Plan(seed, generation, options.clients, options.idle, options.settle_seconds, **kinds)
            reports.append(asyncio.run(drill(plan, there, here)))
            sys.stdout.write(f"{_line(reports[-1])}\n")
            sys.stdout.flush()
            if options.output:
                with options.output.open("a") as file:
                    file.write(f"{_line(reports[-1])}\n")
    passed = sum(not report.problems for report in reports)
    gaps = [report.gap_p99_ms for report in reports if report.gap_p99_ms is not None]
    median = f", median of the gaps' p99 {statistics.median(gaps):.1f} ms" if gaps else ""
    sys.stdout.write(f"{passed} of {len(reports)} runs passed{median}\n")
    sys.exit(passed < len(reports))


if __name__ == "__main__":
    main()
