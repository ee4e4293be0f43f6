"""The coverage of the guest is computed from what the probes have written."""

import json
import subprocess
import sys
from pathlib import Path

from tests.guest_coverage.lines import FileLines, covered_lines, nodejs_lines, python_lines

ROOT = Path(__file__).parents[2]
TEXT = """\
function outer() {
  if (never) {
    inner();
  }
}
outer();
"""


def of_function(name, *ranges):
    return {
        "functionName": name,
        "ranges": [dict(zip(("startOffset", "endOffset", "count"), r, strict=True)) for r in ranges],
    }


def test_a_line_has_run_if_the_innermost_range_of_a_part_of_it_has_a_count():
    block = TEXT.index("{\n    inner"), TEXT.index("  }\n") + 3
    ranges = [(0, len(TEXT), True), (0, TEXT.index("outer();\n"), True), (*block, False)]
    assert covered_lines(TEXT, ranges) == {1, 2, 6}


def test_a_function_that_was_not_called_covers_no_line():
    assert covered_lines(TEXT, [(0, TEXT.index("outer();\n"), False)]) == set()


def test_the_runs_of_several_processes_add_up(tmp_path):
    frames = next(file for file in nodejs_lines(tmp_path) if file.path.name == "frames.cjs")
    size = len(frames.path.read_text())
    for name, part in (("a", (0, size // 2, 1)), ("b", (size // 2, size, 1))):
        script = {"url": "file:///pglambda/nodejs/frames.cjs", "functions": [of_function("", part)]}
        (tmp_path / f"{name}.v8").write_text(json.dumps([script]) + "\n")
    assert [file.percent for file in nodejs_lines(tmp_path)].count(100) == 1
    assert sum(file.percent for file in nodejs_lines(tmp_path)) == 100


def test_marks_of_lines_add_up_and_comments_do_not_count(tmp_path):
    size = sum(len(file.path.read_text().splitlines()) for file in python_lines(tmp_path))
    (tmp_path / "even.marks").write_bytes(bytes(number % 2 for number in range(size)))
    some = {file.path.name: file.percent for file in python_lines(tmp_path)}
    (tmp_path / "odd.marks").write_bytes(bytes((number + 1) % 2 for number in range(size)))
    assert 20 < some["worker.py"] < 80
    assert {file.percent for file in python_lines(tmp_path)} == {100}


def test_a_file_is_measured_by_its_lines_with_code():
    file = FileLines(Path("any"), frozenset({1, 2, 5, 7}), {1, 2, 3, 5})
    assert (file.percent, file.missing) == (75, [7])


def test_less_than_the_minimum_fails(tmp_path):
    command = [sys.executable, "-m", "tests.guest_coverage", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert "guest/nodejs/worker.cjs" in ended.stderr
    assert "0.0 %" in ended.stdout
