"""A seal proves what a file has: it is stored once all lines are on the disk."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from entrypoints.cli.takeover.report_file import Report, report_file


class SealedReports:
    """Keeps seals in place of the takeover's store, with what the file had then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.seals: list[tuple[str, int, str]] = []

    async def seal(self, command: str, _: str, lines: int) -> None:
        self.seals.append((command, lines, self._path.read_text()))


async def test_all_lines_are_in_the_file_when_it_is_sealed(tmp_path):
    path = tmp_path / "report"
    start = SealedReports(path)
    with report_file(path) as report:
        report({"a": 1})
        await report.seal(start, "copy")
    assert start.seals == [("copy", 1, '{"a": 1}\n')]


def test_a_full_disk_leaves_no_seal():
    start, full = SealedReports(Path("/dev/null")), Path("/dev/full")
    with contextlib.suppress(OSError), full.open("w", encoding="utf-8") as file:
        report = Report(file)
        report({"a": 1})
        with pytest.raises(OSError, match="No space left"):
            asyncio.run(report.seal(start, "copy"))
    assert start.seals == []
