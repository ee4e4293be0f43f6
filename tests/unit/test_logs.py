import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from entrypoints.logs import configure_logs
from entrypoints.settings import LogFormat, LogLevel

REASON = "ValueError: invalid literal for int() with base 10: 'lost'"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root, kept = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**kept)


def fail(log):
    try:
        int("lost")
    except ValueError:
        log.exception("it failed")


@pytest.mark.parametrize("logger", [logging.getLogger, structlog.get_logger])
def test_a_line_of_json_has_the_traceback_whoever_wrote_it(logger, capsys):
    configure_logs(LogLevel.INFO, LogFormat.JSON)
    fail(logger("somebody"))
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"]) == ("it failed", "error")
    assert line["exception"].startswith("Traceback (most recent call last):")
    assert line["exception"].endswith(REASON)
    assert "exc_info" not in line


@pytest.mark.parametrize("logger", [logging.getLogger, structlog.get_logger])
def test_a_console_shows_the_traceback_on_lines_of_its_own(logger, capsys):
    configure_logs(LogLevel.INFO, LogFormat.CONSOLE)
    fail(logger("somebody"))
    shown = capsys.readouterr().err.splitlines()
    assert "it failed" in shown[0]
    assert shown[1].startswith("Traceback")
    assert shown[-1] == REASON


def test_what_is_less_severe_than_asked_for_is_left_out(capsys):
    configure_logs(LogLevel.WARNING, LogFormat.JSON)
    for log in (logging.getLogger("somebody"), structlog.get_logger("somebody")):
        log.info("a detail")
    assert capsys.readouterr().err == ""
