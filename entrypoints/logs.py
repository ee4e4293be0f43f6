"""How log lines look: structured, to standard error, JSON or for a console."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import structlog

from entrypoints.settings import LogFormat, LogLevel

_PIECE_BYTES_MAX = 4096
"""What a pipe takes in one piece (PIPE_BUF), so that lines of several processes are not mixed up."""


def configure_logs(level: LogLevel, look: LogFormat) -> None:
    """Send structlog's and the standard library's lines through one renderer to standard error."""
    shared: list[Callable[..., Any]] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer = _renderer(look)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.basicConfig(handlers=[handler], level=number, force=True)


def _renderer(look: LogFormat) -> Callable[..., Any]:
    console = sys.stderr.isatty() if look is LogFormat.AUTO else look is LogFormat.CONSOLE
    if console:
        return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    return structlog.processors.JSONRenderer()


class JsonLines:
    """Lines of JSON, gathered for a turn of the event loop: writing each by itself would cost as much as making it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._gathered: list[bytes] = []

    def write(self, line: bytes) -> None:
        """Write the line at the end of this turn."""
        if not self._gathered:
            asyncio.get_running_loop().call_soon(self._flush)
        self._gathered.append(line)

    def _flush(self) -> None:
        lines, self._gathered = self._gathered, []
        with contextlib.suppress(OSError):  # nobody may be reading
            for piece in _pieces(lines):
                self._stream.write(piece.decode())
                self._stream.flush()


def json_lines() -> JsonLines | None:
    """Return where lines go that are JSON already; None when lines look otherwise."""
    is_json = isinstance(structlog.get_config()["processors"][-1], structlog.processors.JSONRenderer)
    return JsonLines(sys.stderr) if is_json else None


def _pieces(lines: list[bytes]) -> Iterator[bytes]:
    """Yield the lines, several in one piece where that is small enough."""
    piece = bytearray()
    for line in lines:
        if piece and len(piece) + len(line) >= _PIECE_BYTES_MAX:
            yield bytes(piece)
            piece.clear()
        piece += line + b"\n"
    yield bytes(piece)
