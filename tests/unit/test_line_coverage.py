"""Measured branches and measured lines add up to lines."""

from pathlib import Path

from coverage import CoverageData

from tests.line_coverage import main


def test_lines_of_both_files_add_up(tmp_path: Path) -> None:
    source, target = str(tmp_path / "branches"), str(tmp_path / "lines")
    branches, lines = CoverageData(source), CoverageData(target)
    branches.add_arcs({"a.py": [(-1, 1), (1, 3), (3, -1)], "b.py": [(-1, 7)]})
    branches.write()
    lines.add_lines({"a.py": [1, 2]})
    lines.write()
    main(source, target)
    added = CoverageData(target)
    added.read()
    assert {path: sorted(added.lines(path) or []) for path in added.measured_files()} == {
        "a.py": [1, 2, 3],
        "b.py": [7],
    }
