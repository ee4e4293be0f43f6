"""Log lines: formats, levels, and writes."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import httpx2
import pytest
import structlog

from entrypoints.settings.choices import LogFormat, LogLevel
from entrypoints.telemetry.logs import JsonLines, configure_logs, json_lines

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
def test_a_json_line_has_the_traceback_from_any_logger(logger, capsys):
    configure_logs(LogLevel.INFO, LogFormat.JSON)
    fail(logger("module"))
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"]) == ("it failed", "error")
    assert line["exception"].startswith("Traceback (most recent call last):")
    assert line["exception"].endswith(REASON)
    assert "exc_info" not in line
    assert line["logger"] == "module"


def test_a_line_keeps_its_bound_logger(capsys):
    configure_logs(LogLevel.INFO, LogFormat.JSON)
    structlog.get_logger().bind(logger="http").info("event")
    structlog.get_logger("module").bind(logger="http").info("event")
    assert [json.loads(line)["logger"] for line in capsys.readouterr().err.splitlines()] == ["http", "http"]


@pytest.mark.parametrize("logger", [logging.getLogger, structlog.get_logger])
def test_a_console_shows_the_traceback_on_separate_lines(logger, capsys):
    configure_logs(LogLevel.INFO, LogFormat.CONSOLE)
    fail(logger("module"))
    shown = capsys.readouterr().err.splitlines()
    assert "it failed" in shown[0]
    assert shown[1].startswith("Traceback")
    assert shown[-1] == REASON


def test_only_a_terminal_gets_colours(capsys):
    configure_logs(LogLevel.INFO, LogFormat.CONSOLE)
    structlog.get_logger("module").info("event", reason="because")
    assert "\x1b" not in capsys.readouterr().err


def test_less_severe_lines_are_left_out(capsys):
    configure_logs(LogLevel.WARNING, LogFormat.JSON)
    for log in (logging.getLogger("module"), structlog.get_logger("module")):
        log.info("a detail")
    assert capsys.readouterr().err == ""


async def test_urls_that_the_service_fetches_are_not_logged(capsys):
    configure_logs(LogLevel.DEBUG, LogFormat.JSON)
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200))
    async with httpx2.AsyncClient(transport=transport) as client:
        await client.get("http://issuer/keys?token=secret")
    assert "secret" not in capsys.readouterr().err


async def test_lines_of_one_turn_are_written_in_atomic_pieces():
    class Stream(io.StringIO):
        def __init__(self):
            super().__init__()
            self.pieces = []

        def write(self, text):
            self.pieces.append(text)

    stream = Stream()
    lines = JsonLines(stream)
    written = [b"%05d" % number * 20 for number in range(100)]
    for line in [*written, b"x" * 9000, b"last"]:
        lines.write(line)
    assert stream.pieces == []
    await asyncio.sleep(0)
    assert "".join(stream.pieces).encode().splitlines() == [*written, b"x" * 9000, b"last"]
    assert all(piece.endswith("\n") for piece in stream.pieces)
    assert [len(piece) > 4096 for piece in stream.pieces] == [False, False, False, True, False]


async def test_a_missing_reader_raises_no_error():
    class Broken(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    lines = JsonLines(Broken())
    lines.write(b"a")
    await asyncio.sleep(0)
    lines.write(b"b")
    await asyncio.sleep(0)


def test_encoded_lines_bypass_the_logger_only_in_json():
    for log_format, is_json in ((LogFormat.JSON, True), (LogFormat.CONSOLE, False)):
        configure_logs(LogLevel.INFO, log_format)
        assert (json_lines() is not None) is is_json
