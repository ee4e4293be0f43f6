"""Adds the lines of one file of coverage to another: `python -m tests.line_coverage FROM TO`.

`coverage combine` does not take files with branches and files without them together.
"""

import sys

from coverage import CoverageData


def main(source: str, target: str) -> None:
    """Add what `source` has measured, with or without branches, to `target`, which has lines only."""
    measured, lines = CoverageData(source), CoverageData(target)
    measured.read()
    lines.read()
    lines.add_lines({path: measured.lines(path) or [] for path in measured.measured_files()})
    lines.write()


if __name__ == "__main__":
    main(*sys.argv[1:])
