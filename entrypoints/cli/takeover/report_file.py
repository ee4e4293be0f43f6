"""New files that commands write: only this user may read them."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

Note = Callable[[Mapping[str, object]], None]
"""Adds a line to the report."""

_MODE = 0o600


@contextmanager
def report_file(path: Path | None) -> Iterator[Note]:
    """Make the file, which only this user may read, and yield what adds a line; without a path lines go nowhere.

    A line has ids, reasons, sizes and hashes, and never a script, a context or a password. Raises what `new_file` does.
    """
    if path is None:
        yield _discard
        return
    with new_file(path, "--report") as file:
        yield lambda line: print(json.dumps(line, default=str), file=file)


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


def _discard(_: Mapping[str, object]) -> None:
    """Keep nothing."""
