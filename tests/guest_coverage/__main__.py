"""Reports the line coverage of the guest; ends with status 1 if a file has less than its minimum."""

import sys
from collections.abc import Iterator
from pathlib import Path

from tests.guest_coverage.lines import FileLines, nodejs_lines, python_lines

PERCENT_MIN = 90
PYTHON_MIN = (3, 12)


def main(folder: Path) -> str | None:
    """Write a line for each file; return what is wrong."""
    files = list(nodejs_lines(folder))
    if sys.version_info >= PYTHON_MIN:
        files += python_lines(folder)
    else:
        sys.stdout.write("The guest's Python is not measured: that needs Python 3.12 or newer.\n")
    sys.stdout.writelines(f"{line}\n" for line in report(files))
    low = [name_of(file) for file in files if file.percent < PERCENT_MIN]
    return f"Less than {PERCENT_MIN} % of the lines of {', '.join(low)} have run. Add tests." if low else None


def report(files: list[FileLines]) -> Iterator[str]:
    for file in files:
        line = f"{name_of(file):32} {len(file.code):5} lines {file.percent:6.1f} %   {ranges_of(file.missing)}"
        yield line.rstrip()


def name_of(file: FileLines) -> str:
    return f"guest/{file.path.parent.name}/{file.path.name}"


def ranges_of(numbers: list[int]) -> str:
    firsts = [number for number in numbers if number - 1 not in numbers]
    lasts = [number for number in numbers if number + 1 not in numbers]
    pairs = zip(firsts, lasts, strict=True)
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in pairs)


sys.exit(main(Path(sys.argv[1])))
