"""The file of a command's report: one JSON object in each line."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

Note = Callable[[Mapping[str, object]], None]
"""Adds a line to the report."""

_MODE = 0o600


@contextmanager
def report_file(path: Path | None) -> Iterator[Note]:
    """Make the file, which only this user may read, and yield what adds a line; without a path lines go nowhere.

    A line has ids, reasons, sizes and hashes, and never a script, a context or a password. Raises ClickException if the
    file exists, or cannot be written.
    """
    if path is None:
        yield _discard
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield lambda line: print(json.dumps(line, default=str), file=file)
    except FileExistsError:
        raise click.ClickException(f"{str(path)!r} exists. Name a new file with --report.") from None
    except OSError as error:
        raise click.ClickException(
            f"{str(path)!r} cannot be written: {error.strerror}. Name another place with --report."
        ) from error


def _discard(_: Mapping[str, object]) -> None:
    """Keep nothing."""
