"""Parameters of a query string, with every problem told at once."""

from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

from domain.errors import Problem
from domain.json_pointer import pointer
from entrypoints.http.errors import invalid

Choice = TypeVar("Choice", bound=Enum)

Instant = Annotated[datetime, Meta(tz=True)]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS_MAX = 32
_INTEGER_LENGTH_MAX = 9


class Query:
    """A query string; what is wrong with it is collected, and `require` raises it."""

    def __init__(self, raw: bytes, known: frozenset[str]) -> None:
        self._problems: dict[str, str] = {}
        self._values: dict[str, str] = {}
        for name, value in self._pairs(raw):
            if name not in known:
                self.refuse(name, f"is not a parameter that is known here; these are: {', '.join(sorted(known))}")
            elif name in self._values:
                self.refuse(name, "is given more than once")
            self._values[name] = value

    def refuse(self, name: str, message: str) -> None:
        """Note what is wrong with a parameter; the first problem of each is told."""
        self._problems.setdefault(pointer(("query", name)), message)

    def require(self) -> None:
        """Raise InvalidRequest if there is any problem."""
        if self._problems:
            raise invalid(Problem(where, message) for where, message in self._problems.items())

    def text(self, name: str) -> str | None:
        """Return a parameter as it is."""
        return self._values.get(name)

    def choice(self, name: str, choices: type[Choice]) -> Choice | None:
        """Return a parameter as a member of `choices`."""
        value = self._values.get(name)
        try:
            return None if value is None else choices(value)
        except ValueError:
            self.refuse(name, f"must be one of: {', '.join(choice.value for choice in choices)}")
            return None

    def integer(self, name: str, default: int, value_max: int) -> int:
        """Return a parameter as an integer of 1 to `value_max`."""
        value = self._values.get(name)
        if value is None:
            return default
        number = int(value) if value.isascii() and value.isdecimal() and len(value) <= _INTEGER_LENGTH_MAX else 0
        if not 1 <= number <= value_max:
            self.refuse(name, f"must be an integer of 1 to {value_max}")
        return number

    def instant(self, name: str) -> datetime | None:
        """Return a parameter as an instant in UTC, written as RFC 3339 has it and not before 1970."""
        value = self._values.get(name)
        try:
            return None if value is None else max(_EPOCH, msgspec.convert(value, Instant).astimezone(UTC))
        except (msgspec.ValidationError, OverflowError):
            self.refuse(name, "must be an instant like 2026-11-25T12:00:00Z; a + before an offset is written %2B")
            return None

    def _pairs(self, raw: bytes) -> list[tuple[str, str]]:
        try:
            return parse_qsl(raw.decode("latin-1"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MAX)
        except UnicodeDecodeError:
            self._problems["/query"] = "must be UTF-8 behind its percent signs"
        except ValueError:
            self._problems["/query"] = f"must have at most {_FIELDS_MAX} parameters"
        return []
