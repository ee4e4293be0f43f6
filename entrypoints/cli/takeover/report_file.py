"""New files that commands write: only this user may read them."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click
from attrs import define, field

from domain.takeover.start import TakeoverStart

Note = Callable[[Mapping[str, object]], None]
"""Adds a line to the report."""

_MODE = 0o600


@define(eq=False)
class Report:
    """A report that is written line by line, and its digest; without a file the lines go nowhere.

    A line has ids, reasons, sizes and hashes, and never a script, a context or a password.
    """

    _file: IO[str] | None
    lines: int = field(default=0, init=False)
    _digest: "hashlib._Hash" = field(factory=hashlib.sha256, init=False)

    def __call__(self, line: Mapping[str, object]) -> None:
        """Add a line."""
        if self._file is not None:
            text = f"{json.dumps(line, default=str)}\n"
            self._file.write(text)
            self._digest.update(text.encode())
            self.lines += 1

    async def seal(self, start: TakeoverStart, command: str) -> None:
        """Store the digest of all lines, if there is a file. So the file proves later what a command has found.

        The lines are on disk before: a full disk leaves no seal of lines that are missing. Raises OSError.
        """
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            await start.seal(command, self._digest.hexdigest(), self.lines)


@contextmanager
def report_file(path: Path | None) -> Iterator[Report]:
    """Make the file, which only this user may read, and yield the report; raises what `new_file` does."""
    if path is None:
        yield Report(None)
        return
    with new_file(path, "--report") as file:
        yield Report(file)


@contextmanager
def new_file(path: Path, option: str) -> Iterator[IO[str]]:
    """Make a file that only this user may read, and yield it; raises BadParameter if it exists.

    Raises ClickException if it cannot be written. If the command fails before it has written something, the file is
    removed, so that the command can be repeated.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file, _removed_if_empty(path, file):
            yield file
    except FileExistsError:
        raise click.BadParameter(f"{str(path)!r} exists. Name a new file.", param_hint=option) from None
    except OSError as error:
        raise click.ClickException(
            f"{str(path)!r} cannot be written: {error.strerror}. Name another place with {option}."
        ) from error


@contextmanager
def _removed_if_empty(path: Path, file: IO[str]) -> Iterator[None]:
    try:
        yield
    except click.exceptions.Exit:
        raise  # the command is complete
    except BaseException:
        if not file.tell():
            path.unlink(missing_ok=True)
        raise
