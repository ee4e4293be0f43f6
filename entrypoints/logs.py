"""How log lines look: structured, to standard error, JSON or for a console."""

import logging
import sys
from collections.abc import Callable
from typing import Any

import structlog

from entrypoints.settings import LogFormat, LogLevel


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
