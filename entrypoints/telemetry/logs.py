"""How log lines look: structured, to standard error, JSON or for a console."""

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
"""What a pipe takes in one piece (PIPE_BUF), so that lines of several processes are not mixed up."""


class Stream(Protocol):
    """Where lines go."""

    def write(self, text: str, /) -> int:
        """Take whole lines."""
        ...

    def flush(self) -> None:
        """See that they get there."""
        ...


class _NamedLogger(structlog.WriteLogger):
    """A logger of structlog's that knows by which name it was asked for."""

    def __init__(self, stream: Any, name: str | None) -> None:
        super().__init__(stream)
        self.name = name


class _Lines:
    """Makes structlog's loggers, and knows their stream."""

    def __init__(self, stream: Any) -> None:
        self.stream: Stream = stream

    def __call__(self, name: str | None = None, *_more: Any) -> _NamedLogger:
        return _NamedLogger(self.stream, name)


def configure_service_logs(level: LogLevel, look: LogFormat) -> None:
    """Like `configure_logs`, for a process that serves: a reader that is stuck or gone does not hold it up."""
    configure_logs(level, look, DetachedStream(sys.stderr.fileno(), _tell_of_dropping))


def dropped_lines() -> int:
    """Return how many lines this process has dropped because nobody read them."""
    factory = structlog.get_config()["logger_factory"]
    stream = factory.stream if isinstance(factory, _Lines) else None
    return stream.dropped if isinstance(stream, DetachedStream) else 0


def configure_logs(level: LogLevel, look: LogFormat, stream: Stream | None = None) -> None:
    """Send structlog's and the standard library's lines through one renderer to a stream, or to standard error."""
    stream = stream or sys.stderr
    shared: list[Callable[..., Any]] = [
        structlog.contextvars.merge_contextvars,
        _add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer = _renderer(look)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_Lines(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.basicConfig(handlers=[handler], level=number, force=True)


def _add_logger_name(logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the logger's name, unless the line has one: structlog's own processor knows the standard library's alone."""
    record = event.get("_record")
    name = getattr(logger, "name", None) if record is None else record.name
    if name is not None:
        event.setdefault("logger", name)
    return event


def _renderer(look: LogFormat) -> Callable[..., Any]:
    console = sys.stderr.isatty() if look is LogFormat.AUTO else look is LogFormat.CONSOLE
    if console:
        colours = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        return structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)
    return structlog.processors.JSONRenderer()


class JsonLines:
    """Lines of JSON, gathered for a turn of the event loop: writing each by itself would cost as much as making it."""

    def __init__(self, stream: Stream) -> None:
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
    config = structlog.get_config()
    is_json = isinstance(config["processors"][-1], structlog.processors.JSONRenderer)
    return JsonLines(config["logger_factory"].stream) if is_json else None


def _tell_of_dropping(count: int) -> None:
    structlog.get_logger(__name__).warning("log_lines_dropped", count=count, reason="nobody read them in time")


def _pieces(lines: list[bytes]) -> Iterator[bytes]:
    """Yield the lines, several in one piece where that is small enough."""
    piece = bytearray()
    for line in lines:
        if piece and len(piece) + len(line) >= _PIECE_BYTES_MAX:
            yield bytes(piece)
            piece.clear()
        piece += line + b"\n"
    yield bytes(piece)
