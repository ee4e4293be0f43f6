"""The query string of the list of functions, read as the origin's framework reads it."""

import re
from urllib.parse import parse_qsl

from attrs import frozen

from domain.errors import InvalidRequest, Problem
from domain.functions.function import FunctionType
from entrypoints.http.errors import invalid
from entrypoints.origin.errors import QueryRefused

_FIELDS_MAX = 32
_KNOWN = frozenset({"language", "user_id", "type", "page", "per_page"})
_TYPES = {str(each): each for each in FunctionType}
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


@frozen
class FunctionsQuery:
    """A page of functions: `size` behind the first `skipped` ones. `user_id` is accepted and has no effect."""

    language: str | None
    type: FunctionType | None
    skipped: int
    size: int

    @classmethod
    def of(cls, query_string: bytes) -> "FunctionsQuery":
        """Read the query; raises QueryRefused for what is no number, InvalidRequest for a page that cannot be.

        Unknown parameters are ignored, and so is a `type` that is neither predefined nor dynamic.
        """
        values = _values(query_string)
        page, size = _number(values, "page", 1), _number(values, "per_page", 20)
        if page < 1 or size < 0:
            raise invalid([Problem("page", "must be at least 1, and per_page must not be negative")])
        return cls(values.get("language"), _TYPES.get(values.get("type", "")), (page - 1) * size, size)


def _values(query_string: bytes) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in _pairs(query_string):
        if name in values:
            raise _refused(name, "is given more than once")
        if name in _KNOWN:
            values[name] = value
    return values


def _pairs(query_string: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=_FIELDS_MAX)
    except ValueError:
        raise _refused("the query", f"must have at most {_FIELDS_MAX} parameters") from None


def _number(values: dict[str, str], name: str, default: int) -> int:
    text = values.get(name)
    if text is not None and not _NUMBER.fullmatch(text):
        raise _refused(name, "must be an integer")
    return default if text is None else int(text)


def _refused(name: str, message: str) -> InvalidRequest:
    return invalid([Problem(name, message)], QueryRefused)
