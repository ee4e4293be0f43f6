"""Sessions as the first generation of the origin keeps them in Redis, and where they differ from its table."""

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from attrs import asdict, frozen

from domain.json_text import JsonText
from domain.takeover.outgoing import members
from domain.takeover.source_session import SourceSession

KEY_PREFIX = "session:"
"""What stands before the id in a key."""

_NULL = "null"
_SECOND = timedelta(seconds=1)
_I64_MIN, _U64_MAX = -(2**63), 2**64 - 1
_DIGITS_MAX = 20
"""The origin reads integers of more digits as doubles, and others beyond 64 bits too."""

_SAME_EXECUTION = _SECOND
_NEVER = datetime(1, 1, 1, tzinfo=UTC)
_NAMES = (
    *("request_id", "language_title", "user_id", "created_at", "expires_at", "last_executed_at", "execution_count"),
    *("status", "context", "script_content", "script_hash", "compiled_artifact", "compile_options", "compile_status"),
    *("compile_error", "metadata"),
)
_JSON_NAMES = ("context", "compile_options", "metadata")
_FIXED_NAMES = ("language_title", "user_id", "created_at", "script_content")
"""What the origin never changes after it has made a session."""


class Disagreement(StrEnum):
    """How a key differs from its row."""

    COUNT = "count"
    EXPIRY = "expiry"
    CONTENT = "content"

    @property
    def words(self) -> str:
        """The difference as a sentence, with the side that counts."""
        return _WORDS[self]


_WORDS = {
    Disagreement.COUNT: "The counts differ. That of the later execution counts, or the greater one.",
    Disagreement.EXPIRY: "The instants of expiry differ. That of the table counts.",
    Disagreement.CONTENT: "The contents differ, so somebody has changed the row. The row counts.",
}


@frozen
class ExecutionCount:
    """How often a session was executed, and when last."""

    count: int
    last_at: datetime | None


def read_cached(text: str) -> SourceSession | None:
    """Return the session in the value of a key; None if the origin could not read it either.

    Instants have nanoseconds there, which are cut to microseconds.
    """
    try:
        text.encode()  # a value that is no UTF-8 has lone surrogates here
        found = members(JsonText(text))
        return _session(found) if found.keys() >= {*_NAMES} else None
    except (ValueError, TypeError, IndexError, RecursionError):
        return None


def _session(found: Mapping[str, JsonText]) -> SourceSession:
    plain: dict[str, Any] = {name: json.loads(found[name]) for name in _NAMES if name not in _JSON_NAMES}
    artifact = plain["compiled_artifact"]
    return SourceSession(
        request_id=_text(plain["request_id"]),
        language_title=_text(plain["language_title"]),
        user_id=_text_or_none(plain["user_id"]),
        created_at=_instant(plain["created_at"]),
        expires_at=_instant(plain["expires_at"]),
        last_executed_at=None if plain["last_executed_at"] is None else _instant(plain["last_executed_at"]),
        instants_fit=True,
        execution_count=_whole_number(plain["execution_count"]),
        status=_text(plain["status"]),
        context=found["context"],
        script_content=_text_or_none(plain["script_content"]),
        script_hash=_text_or_none(plain["script_hash"]),
        compile_options=_json(found["compile_options"]),
        compile_status=_text_or_none(plain["compile_status"]),
        compile_error=_text_or_none(plain["compile_error"]),
        metadata=_json(found["metadata"]),
        artifact_bytes=None if artifact is None else len(artifact),
    )


def merged(row: ExecutionCount, cached: ExecutionCount, *, runs_ahead: bool) -> ExecutionCount:
    """Return what is true of both: that of the later execution.

    If both are of the same one, the greater count is true, or that of Redis if a trigger makes the table's run ahead.
    """
    row_at, cached_at = row.last_at or _NEVER, cached.last_at or _NEVER
    if abs(row_at - cached_at) > _SAME_EXECUTION:
        return max(row, cached, key=lambda each: each.last_at or _NEVER)
    count = cached.count if runs_ahead else max(row.count, cached.count)
    return ExecutionCount(count, max(row_at, cached_at) if row.last_at or cached.last_at else None)


def disagreements(row: SourceSession, cached: SourceSession) -> Iterator[Disagreement]:
    """Yield how a key differs from its row. JSON is compared by its value: Redis has it in another form."""
    if (row.execution_count or 0) != (cached.execution_count or 0):
        yield Disagreement.COUNT
    if row.expires_at != cached.expires_at:
        yield Disagreement.EXPIRY
    fixed = any(getattr(row, name) != getattr(cached, name) for name in _FIXED_NAMES)
    if fixed or not all(same_json(getattr(row, name), getattr(cached, name)) for name in _JSON_NAMES):
        yield Disagreement.CONTENT


def cached_value(row: SourceSession, script_hash: str | None) -> str:
    """Return what the origin stores in Redis for a session: all members in their order.

    There it has the hash and a compile status of every script, and not always in its row.
    """
    pending = None if row.script_content is None else "pending"
    given = {**asdict(row), "script_hash": row.script_hash or script_hash, "compiled_artifact": None}
    given |= {"compile_status": row.compile_status or pending, "execution_count": row.execution_count or 0}
    texts = {name: given[name] or _NULL if name in _JSON_NAMES else _written(given[name]) for name in _NAMES}
    return "{" + ",".join(f'"{name}":{text}' for name, text in texts.items()) + "}"


def lives_s(expires_at: datetime, now: datetime) -> int:
    """Return after how many whole seconds a session has expired; 0 if it has."""
    return max(0, math.ceil((expires_at - now) / _SECOND))


@frozen
class _Number:
    """A number as the origin reads it; unlike a number of Python, it is not equal to true or false."""

    value: float


def same_json(one: str | None, other: str | None) -> bool:
    """Return whether two JSON texts, or None, are one value to the origin.

    It sorts members, and reads large integers as doubles. A text that is nested too deeply to be read here is equal
    only to itself; the origin does not read it either.
    """
    if one == other or one is None or other is None:
        return one == other
    try:
        return bool(_value(one) == _value(other))
    except RecursionError:
        return False


def _value(text: str) -> object:
    return json.loads(text, parse_int=_whole, parse_float=_fraction)


def _whole(text: str) -> _Number:
    is_small = len(text) <= _DIGITS_MAX and _I64_MIN <= int(text) <= _U64_MAX
    return _Number(int(text) if is_small else float(text))


def _fraction(text: str) -> _Number:
    return _Number(float(text))


def _written(value: object) -> str:
    at = value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
    return json.dumps(at, ensure_ascii=False)


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("an instant without a zone")
    return at.astimezone(UTC)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("it is no text")
    value.encode()  # no text of the origin has lone surrogates, which an escape can make
    return value


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)


def _whole_number(value: object) -> int:
    if type(value) is not int:
        raise TypeError("it is no whole number")
    return value


def _json(text: JsonText) -> str | None:
    return None if text == _NULL else text
