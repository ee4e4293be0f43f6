"""The output of commands: tables for people, JSON for programs."""

from collections.abc import Sequence
from enum import StrEnum

import click

_KEPT = "\n\t"


class Output(StrEnum):
    """The format of the output."""

    TABLE = "table"
    JSON = "json"


output_option = click.option(
    "--output",
    type=click.Choice([each.value for each in Output]),
    default=Output.TABLE.value,
    show_default=True,
    help="The format: a table for people, or JSON for programs.",
)


def shown(text: str) -> str:
    """Return a text of unknown origin for one line of a terminal: its control characters are escaped."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def printable(text: str, target: object) -> str:
    """Return a text whose control characters do nothing to a terminal; a file gets them as they are."""
    if not getattr(target, "isatty", lambda: False)():
        return text
    return "".join(each if each in _KEPT else shown(each) for each in text)


def table(rows: Sequence[Sequence[str]], numbers: frozenset[int] = frozenset()) -> str:
    """Return rows of one length as lines with aligned columns; the columns `numbers` are right-aligned."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(_line(row, widths, numbers) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int], numbers: frozenset[int]) -> str:
    cells = [
        cell.rjust(width) if column in numbers else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
