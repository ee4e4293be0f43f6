"""The owner here of a session of the origin, which has labels that nobody verified."""

import csv
from collections.abc import Iterable, Mapping
from typing import Protocol

from attrs import field, frozen

from domain.identity import ANONYMOUS, Owner, OwnerRefused, parse_owner

_COLUMNS = ["user_id", "owner"]
LINES_MAX = 1_000_000
_PROBLEMS_MAX = 20


class OwnerRule(Protocol):
    """Decides to whom a session belongs."""

    def owner_of(self, user_id: str | None) -> Owner | None:
        """Return the owner for a label (the header X-User-ID at initialize); None if the session has none."""
        ...


@frozen
class AnonymousOwner:
    """Gives every session to `anonymous`: the only owner that callers have without authentication."""

    def owner_of(self, user_id: str | None) -> Owner | None:  # noqa: ARG002  # the rule of this owner
        return ANONYMOUS


@frozen
class LabelOwner:
    """Takes the label as the owner where it can be one, and else the default."""

    default: Owner

    def owner_of(self, user_id: str | None) -> Owner | None:
        try:
            return self.default if user_id is None else parse_owner(user_id)
        except OwnerRefused:
            return self.default


@frozen
class ListedOwner:
    """Looks labels up; the empty text stands for no label. A label that is not listed has the default, or none."""

    listed: Mapping[str, Owner] = field(repr=False)
    default: Owner | None = None

    def owner_of(self, user_id: str | None) -> Owner | None:
        return self.listed.get(user_id or "", self.default)


class OwnersRefused(ValueError):
    """The file of owners has faults; the text has the first ones, by line."""


def read_owners(lines: Iterable[str], lines_max: int = LINES_MAX) -> Mapping[str, Owner]:
    """Return the owners of a file with the columns `user_id,owner` (CSV with this first line).

    Raises OwnersRefused if a line has another form, names an owner that callers cannot have, or repeats a label.
    """
    rows = csv.reader(lines, strict=True)
    listed: dict[str, Owner] = {}
    problems: list[str] = []
    try:
        if next(rows, None) != _COLUMNS:
            raise OwnersRefused("the first line must be: user_id,owner")
        for row in rows:
            problems += _problems(row, listed, rows.line_num)
            if len(problems) >= _PROBLEMS_MAX or len(listed) > lines_max:
                break
    except csv.Error as error:
        problems.append(f"line {rows.line_num}: {error}")
    if len(listed) > lines_max:
        problems.append(f"it has more than {lines_max:,} lines")
    if problems:
        raise OwnersRefused("; ".join(problems))
    return listed


def _problems(row: list[str], listed: dict[str, Owner], line: int) -> list[str]:
    """Add the owner of a line; return why it cannot be added."""
    if not row:
        return []  # an empty line
    if len(row) != len(_COLUMNS):
        return [f"line {line}: it has {len(row)} columns instead of {len(_COLUMNS)}"]
    label, owner = row
    if label in listed:
        return [f"line {line}: the label {label!r} is there already"]
    try:
        listed[label] = owner if owner == ANONYMOUS else parse_owner(owner)  # type: ignore[assignment]
    except OwnerRefused as error:
        return [f"line {line}: {error}"]
    return []
