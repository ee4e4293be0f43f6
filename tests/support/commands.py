"""Commands in this process, which take a second of processor time less than programs do, and their container."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import structlog
from attrs import frozen
from click.testing import CliRunner
from dependency_injector import providers

from entrypoints.cli.main import cli
from entrypoints.composition.commands import Commands


class OpenDatabase:
    """Access to a database that is always open."""

    @asynccontextmanager
    async def opened(self, *_: Any) -> AsyncIterator[None]:
        yield


def commands_with(**objects: Any) -> Callable[..., Commands]:
    """Return what makes a container whose providers give these objects; they need no database."""
    return partial(Commands, **{"database_access": providers.Object(OpenDatabase()), **objects})


@frozen
class Ended:
    """What is left of a command: its exit status, and the texts that it wrote."""

    returncode: int
    stdout: str
    stderr: str


def run_command(*arguments: str, obj: Callable[..., Commands] = Commands, **variables: str) -> Ended:
    """Run `pglambda` to its end, with these variables; in a thread, because the caller may have an event loop."""
    with ThreadPoolExecutor(1) as thread, logs_kept():
        run = thread.submit(CliRunner().invoke, cli, arguments, obj=obj, env=variables, catch_exceptions=False)
        result = run.result()
    return Ended(result.exit_code, result.stdout, result.stderr)


@contextmanager
def logs_kept() -> Iterator[None]:
    """Keep the logs of this process as they are: a command sends them to its own standard error."""
    root, kept = logging.getLogger(), structlog.get_config() if structlog.is_configured() else None
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        structlog.reset_defaults()
        if kept is not None:
            structlog.configure(**kept)
        root.handlers[:] = handlers
        root.setLevel(level)
