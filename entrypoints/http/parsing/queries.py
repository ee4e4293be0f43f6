"""Query strings and pages of lists; every problem of a query is reported at once."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Annotated, TypeVar
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from msgspec import Meta

from domain.errors import Problem
from domain.identity import Owner, OwnerRefused, named_owner
from domain.json_pointer import pointer
from domain.json_text import JsonText
from entrypoints.http.errors import invalid
from entrypoints.http.parsing.cursors import METADATA_LENGTH_MAX, Cursor, InvalidCursor, read_cursor
from entrypoints.http.parsing.json_faults import filter_fault

Choice = TypeVar("Choice", bound=Enum)

Instant = Annotated[datetime, Meta(tz=True)]

PAGE_SIZE = 50
PAGE_SIZE_MAX = 200
PARAMETERS_MAX = 32
"""Parameters of a query string, each repetition counted."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INTEGER_LENGTH_MAX = 9
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_OTHER_FILTER = "must have the value that it had on the page with this cursor, or be absent"


class Switch(StrEnum):
    """A parameter that is on or off."""

    ON = "true"
    OFF = "false"


class Query:
    """The parameters of a query string. Methods collect problems, and `require_valid` raises them."""

    def __init__(self, raw: bytes, names: frozenset[str], lists: frozenset[str] = frozenset()) -> None:
        """Take a query string, and the names that it may have; those of `lists` may be repeated instead of commas."""
        self._problems: dict[str, str] = {}
        self._values: dict[str, str] = {}
        for name, value in self._pairs(raw):
            if name not in names:
                known = ", ".join(sorted(names)) or "none on this route"
                self.add_problem(name, f"is not a known parameter; known are: {known}")
            elif name in self._values and name not in lists:
                self.add_problem(name, "is given more than once")
            self._values[name] = f"{self._values[name]},{value}" if name in self._values else value

    def add_problem(self, name: str, message: str) -> None:
        """Report a problem of a parameter; only the first one of each parameter counts."""
        self._problems.setdefault(pointer(("query", name)), message)

    def require_valid(self) -> None:
        """Raise InvalidRequest if there is a problem."""
        if self._problems:
            raise invalid(Problem(where, message) for where, message in self._problems.items())

    def text(self, name: str) -> str | None:
        """Return the text of a parameter."""
        return self._values.get(name)

    def bounded_text(self, name: str, length_max: int) -> str | None:
        """Return the text of a parameter, which has 1 to `length_max` characters."""
        value = self._values.get(name)
        if value is not None and (not 1 <= len(value) <= length_max or "\0" in value):
            self.add_problem(name, f"must have 1 to {length_max} characters, and no NUL")
        return value

    def metadata(self, name: str = "metadata") -> JsonText | None:
        """Return the object that metadata must contain."""
        value = self.bounded_text(name, METADATA_LENGTH_MAX)
        fault = None if value is None else filter_fault(value)
        if fault is not None:
            self.add_problem(name, fault)
        return None if value is None or fault is not None else JsonText(value)

    def names(self, name: str, known: Sequence[str]) -> tuple[str, ...] | None:
        """Return the names that a parameter lists with commas, each once."""
        text = self._values.get(name)
        if text is None:
            return None
        found = tuple(dict.fromkeys(text.split(",")))
        unknown = [each for each in found if each not in known]
        if unknown:
            self.add_problem(
                name, f"has unknown fields: {', '.join(map(repr, unknown))}; known are: {', '.join(known)}"
            )
        return found

    def choice(self, name: str, choices: type[Choice]) -> Choice | None:
        """Return a parameter as a member of `choices`."""
        value = self._values.get(name)
        try:
            return None if value is None else choices(value)
        except ValueError:
            self.add_problem(name, f"must be one of: {', '.join(choice.value for choice in choices)}")
            return None

    def integer(self, name: str, default: int, value_max: int) -> int:
        """Return a parameter as an integer of 1 to `value_max`."""
        value = self._values.get(name)
        if value is None:
            return default
        number = int(value) if value.isascii() and value.isdecimal() and len(value) <= _INTEGER_LENGTH_MAX else 0
        if not 1 <= number <= value_max:
            self.add_problem(name, f"must be an integer of 1 to {value_max}")
        return number

    def version(self, name: str) -> int | None:
        """Return a parameter as the number of a version."""
        value = self._values.get(name)
        if value is None or _VERSION.fullmatch(value):
            return None if value is None else int(value)
        self.add_problem(name, "must be the number of a version, from 1")
        return None

    def owner(self, name: str) -> Owner | None:
        """Return a parameter as an owner, which may be a reserved name."""
        value = self._values.get(name)
        try:
            return None if value is None else named_owner(value)
        except OwnerRefused as error:
            self.add_problem(name, f"is not an owner: {error}")
            return None

    def identifier(self, name: str) -> UUID | None:
        """Return a parameter as a UUID."""
        value = self._values.get(name)
        try:
            return None if value is None else msgspec.convert(value, UUID)
        except msgspec.ValidationError:
            self.add_problem(name, "must be a UUID")
            return None

    def instant(self, name: str) -> datetime | None:
        """Return a parameter in RFC 3339 as an instant in UTC; an instant before 1970 becomes 1970."""
        value = self._values.get(name)
        try:
            return None if value is None else max(_EPOCH, msgspec.convert(value, Instant).astimezone(UTC))
        except (msgspec.ValidationError, OverflowError):
            self.add_problem(name, "must be an instant such as 2026-11-25T12:00:00Z; write a + before an offset as %2B")
            return None

    def page_size(self, name: str = "limit") -> int:
        """Return how many items a page has."""
        return self.integer(name, PAGE_SIZE, PAGE_SIZE_MAX)

    def cursor(self, kind: type[Cursor]) -> Cursor | None:
        """Return the cursor, None for the first page."""
        text = self.text("cursor")
        try:
            return None if text is None else read_cursor(text, kind)
        except InvalidCursor:
            self.add_problem("cursor", "must be the unchanged next_cursor of an earlier response to the same list")
            return None

    def require_same(self, filters: Mapping[str, tuple[object, object]]) -> None:
        """Report each filter that differs from its cursor; `filters` has (given, the cursor's) by name."""
        for name, (value, kept) in filters.items():
            if self.text(name) is not None and value != kept:
                self.add_problem(name, _OTHER_FILTER)

    def _pairs(self, raw: bytes) -> list[tuple[str, str]]:
        try:
            return parse_qsl(
                raw.decode("latin-1"), keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX
            )
        except UnicodeDecodeError:
            self._problems["/query"] = "must be percent-encoded UTF-8"
        except ValueError:
            self._problems["/query"] = f"must have at most {PARAMETERS_MAX} parameters"
        return []
