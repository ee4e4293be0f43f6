"""Marks the lines of the guest's Python that run: `probe.py START MODULE CHANNEL` runs START with the other arguments.

The marks are bytes of a mapped file, one for each line of the guest's files in the order of their names. A fork of the
zygote keeps the mapping when it isolates itself, and a killed worker loses no mark.
"""

import mmap
import os
import runpy
import sys
from pathlib import Path

FOLDER = "/coverage"
START = sys.argv.pop(1)


def first_marks():
    """Return where the marks of each file begin, by its path, and the size of all marks."""
    firsts, size = {}, 0
    for path in sorted(Path(START).parent.glob("*.py")):
        firsts[str(path)] = size
        size += len(path.read_text().splitlines())
    return firsts, size


def mapped(size):
    descriptor = os.open(f"{FOLDER}/{os.urandom(8).hex()}.marks", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    os.ftruncate(descriptor, size)
    marks = mmap.mmap(descriptor, size)
    os.close(descriptor)
    return marks


def watch():
    firsts, size = first_marks()
    marks, monitoring = mapped(size), sys.monitoring

    def mark(code, line):
        first = firsts.get(code.co_filename)
        if first is not None:
            marks[first + line - 1] = 1
        return monitoring.DISABLE

    monitoring.use_tool_id(monitoring.COVERAGE_ID, "guest")
    monitoring.register_callback(monitoring.COVERAGE_ID, monitoring.events.LINE, mark)
    monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.LINE)


sys.argv[0] = START
if sys.version_info >= (3, 12):
    watch()
runpy.run_path(START, run_name="__main__")
