"""Nothing reads a host's wall clock, apart from a short list of places with their reasons."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULE = "TID251"
PACKAGES = ("domain", "adapters", "entrypoints", "sql")
IMPORTS = "import datetime, email.utils, structlog, time, uuid\n"


@pytest.mark.parametrize(
    "line",
    [
        "datetime.datetime.now(datetime.UTC)",
        "datetime.datetime.utcnow()",
        "datetime.datetime.today()",
        "datetime.date.today()",
        "def wait(wall=datetime.datetime.now): ...",
        "from datetime import datetime as instant; instant.now()",
        "time.time()",
        "time.time_ns()",
        "field(factory=time.time)",
        "from time import time as seconds",
        "import time as clock; clock.time()",
        "time.clock_gettime(time.CLOCK_REALTIME)",
        "time.clock_gettime_ns(time.CLOCK_TAI)",
        "time.localtime()",
        "time.gmtime()",
        "time.ctime()",
        "time.asctime()",
        "time.strftime('%H')",
        "uuid.uuid1()",
        "uuid.uuid6()",
        "uuid.uuid7()",
        "email.utils.formatdate()",
        "email.utils.localtime()",
        "structlog.processors.TimeStamper()",
        "from adapters.system_clock import SystemClock",
    ],
)
def test_a_read_of_the_wall_clock_is_a_lint_error(line):
    assert _found("--stdin-filename", "adapters/example.py", "-", source=IMPORTS + line + "\n") == [
        "adapters/example.py"
    ]


@pytest.mark.parametrize(
    "line",
    [
        "time.monotonic()",
        "time.perf_counter()",
        "time.clock_gettime(time.CLOCK_MONOTONIC)",
        "self._clock.now()",
        "datetime.datetime.fromisoformat('2026-01-01')",
        "uuid.uuid4()",
    ],
)
def test_other_clocks_are_no_lint_error(line):
    assert _found("--stdin-filename", "adapters/example.py", "-", source=IMPORTS + line + "\n") == []


def test_the_list_of_those_who_may_read_the_wall_clock_is_exact():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]["per-file-ignores"]
    allowed = {path for path, rules in settings.items() if RULE in rules and not path.startswith("tests/")}
    everyone = _found("--config", "lint.per-file-ignores = {}", "--ignore-noqa", *PACKAGES)
    assert set(everyone) == allowed


def test_the_guest_in_node_reads_no_wall_clock():
    files = list((ROOT / "adapters/sandbox/guest/nodejs").glob("*.cjs"))
    assert len(files) > 5
    readers = [file.name for file in files if re.search(r"\bDate\b|\btimeOrigin\b", file.read_text())]
    assert readers == ["inheritance.cjs"], "it gives forks a time origin of their own, for scripts alone"


def _found(*arguments: str, source: str = "") -> list[str]:
    """The files with reads of the wall clock, as ruff finds them with this project's settings."""
    ruff = (sys.executable, "-m", "ruff", "check", "--no-cache", "--select", RULE, "--output-format", "json")
    checked = subprocess.run(
        [*ruff, *arguments], input=source, capture_output=True, text=True, cwd=ROOT, timeout=30, check=False
    )
    assert checked.returncode in (0, 1), checked.stderr
    found = (Path(each["filename"]) for each in json.loads(checked.stdout))
    return sorted({str(path.relative_to(ROOT) if path.is_absolute() else path) for path in found})
