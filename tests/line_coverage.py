"""Adds the lines of files of coverage up in another one: `python -m tests.line_coverage FROM... TO`.

`coverage combine` does not take files with branches and files without them together.
"""

import sys

from coverage import CoverageData


def main(*files: str) -> None:
    """Add what all but the last file have measured, with or without branches, to the last one, which has lines only."""
    *sources, target = files
    lines = CoverageData(target)
    lines.read()
    for source in sources:
        measured = CoverageData(source)
        measured.read()
        lines.add_lines({path: measured.lines(path) or [] for path in measured.measured_files()})
    lines.write()


if __name__ == "__main__":
    main(*sys.argv[1:])
