"""Measured branches and measured lines add up to lines."""

from pathlib import Path

from coverage import CoverageData

from tests.line_coverage import main


def test_lines_of_all_files_add_up(tmp_path: Path) -> None:
    branches, lines, total = (str(tmp_path / name) for name in ("branches", "lines", "total"))
    with_branches, without = CoverageData(branches), CoverageData(lines)
    with_branches.add_arcs({"a.py": [(-1, 1), (1, 3), (3, -1)], "b.py": [(-1, 7)]})
    with_branches.write()
    without.add_lines({"a.py": [1, 2]})
    without.write()
    main(branches, lines, total)
    added = CoverageData(total)
    added.read()
    assert {path: sorted(added.lines(path) or []) for path in added.measured_files()} == {
        "a.py": [1, 2, 3],
        "b.py": [7],
    }
