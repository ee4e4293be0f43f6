"""Logging: structured lines on standard error, as JSON or for a console."""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Protocol

import structlog

from entrypoints.settings.choices import LogFormat, LogLevel
from entrypoints.telemetry.detached_stream import DetachedStream

_PIECE_BYTES_MAX = 4096
"""The size of an atomic write to a pipe (PIPE_BUF), so that lines of several processes do not mix."""


class Stream(Protocol):
    """The destination of lines."""

    def write(self, text: str, /) -> int:
        """Write complete lines."""
        ...

    def flush(self) -> None:
        """Pass on buffered lines."""
        ...


class _NamedLogger(structlog.WriteLogger):
    """A logger of structlog with its name."""

    def __init__(self, stream: Any, name: str | None) -> None:
        super().__init__(stream)
        self.name = name


class _LoggerFactory:
    """Creates the loggers of structlog, all with one stream."""

    def __init__(self, stream: Any) -> None:
        self.stream: Stream = stream

    def __call__(self, name: str | None = None, *_more: Any) -> _NamedLogger:
        return _NamedLogger(self.stream, name)


def configure_service_logs(level: LogLevel, log_format: LogFormat) -> None:
    """Do the same as `configure_logs`, for a process that serves: a blocked or missing reader does not delay it."""
    configure_logs(level, log_format, DetachedStream(sys.stderr.fileno(), _log_dropped))


def dropped_lines() -> int:
    """Return how many lines this process has dropped because their reader was too slow or gone."""
    factory = structlog.get_config()["logger_factory"]
    stream = factory.stream if isinstance(factory, _LoggerFactory) else None
    return stream.dropped if isinstance(stream, DetachedStream) else 0


def configure_logs(level: LogLevel, log_format: LogFormat, stream: Stream | None = None) -> None:
    """Send the lines of structlog and of the standard library through one renderer to a stream or standard error.

    Loggers keep a given stream for good, which makes each line cheaper. Commands log little, and share the process with
    what runs them.
    """
    keeps, stream = stream is not None, stream or sys.stderr
    shared: list[Callable[..., Any]] = [
        structlog.contextvars.merge_contextvars,
        _add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer = _renderer(log_format)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_LoggerFactory(stream),
        cache_logger_on_first_use=keeps,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.basicConfig(handlers=[handler], level=number, force=True)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # its lines have whole URLs, which may contain secrets


def _add_logger_name(logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the name of the logger unless the line has one; structlog's processor knows standard loggers only."""
    record = event.get("_record")
    name = getattr(logger, "name", None) if record is None else record.name
    if name is not None:
        event.setdefault("logger", name)
    return event


def _renderer(log_format: LogFormat) -> Callable[..., Any]:
    console = sys.stderr.isatty() if log_format is LogFormat.AUTO else log_format is LogFormat.CONSOLE
    if console:
        colours = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        return structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)
    return structlog.processors.JSONRenderer()


class JsonLines:
    """Encoded lines of JSON; those of one turn of the event loop are written together, at half the cost."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        """Write the line at the end of this turn of the event loop."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._flush)
        self._lines.append(line)

    def _flush(self) -> None:
        lines, self._lines = self._lines, []
        with contextlib.suppress(OSError):  # the reader may be gone
            for piece in _pieces(lines):
                self._stream.write(piece.decode())
                self._stream.flush()


def json_lines() -> JsonLines | None:
    """Return a writer for encoded lines, or None if the format is not JSON."""
    config = structlog.get_config()
    is_json = isinstance(config["processors"][-1], structlog.processors.JSONRenderer)
    return JsonLines(config["logger_factory"].stream) if is_json else None


def _log_dropped(count: int) -> None:
    structlog.get_logger(__name__).warning("log_lines_dropped", count=count, reason="the reader was too slow or gone")


def _pieces(lines: list[bytes]) -> Iterator[bytes]:
    """Yield the lines, several in one piece if they fit."""
    piece = bytearray()
    for line in lines:
        if piece and len(piece) + len(line) >= _PIECE_BYTES_MAX:
            yield bytes(piece)
            piece.clear()
        piece += line + b"\n"
    yield bytes(piece)
