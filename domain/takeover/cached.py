"""Sessions as the first generation of the origin keeps them in Redis, and where they differ from its table."""

import json
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import asdict, define, field, frozen

from domain.json_text import JsonText
from domain.takeover.comparison import Note, compared
from domain.takeover.outgoing import PENDING, members
from domain.takeover.reasons import Worded
from domain.takeover.source_session import SourceSession

KEY_PREFIX = "session:"
"""What stands before the id in a key."""

_NULL = "null"
_SECOND = timedelta(seconds=1)
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


class Disagreement(Worded):
    """How a key differs from its row."""

    COUNT = "count", "The counts differ. That of the later execution counts, or the greater one."
    EXPIRY = "expiry", "The instants of expiry differ. That of the table counts."
    CONTENT = "content", "The contents differ, so somebody has changed the row. The row counts."


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
    pending = None if row.script_content is None else PENDING
    given = {**asdict(row), "script_hash": row.script_hash or script_hash, "compiled_artifact": None}
    given |= {"compile_status": row.compile_status or pending, "execution_count": row.execution_count or 0}
    texts = {name: given[name] or _NULL if name in _JSON_NAMES else _written(given[name]) for name in _NAMES}
    return "{" + ",".join(f'"{name}":{text}' for name, text in texts.items()) + "}"


def lives_s(expires_at: datetime, now: datetime) -> int:
    """Return after how many whole seconds a session has expired; 0 if it has."""
    return max(0, math.ceil((expires_at - now) / _SECOND))


def same_json(row: str | None, cached: str | None) -> bool:
    """Return whether two JSON texts, or None, are one value to the origin, which keeps large integers as doubles.

    A text that is nested too deeply to be read here is equal only to itself; the origin does not read it either.
    """
    if row == cached or row is None or cached is None:
        return row == cached
    try:
        found = compared(json.loads(cached), json.loads(row))
    except (ValueError, RecursionError):
        return False
    return found.pointer is None and Note.LAST_DIGITS not in found.notes


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


@define
class CacheCensus:
    """Counts keys.

    `without_row` are live sessions that have a key alone, and `ended` those that have expired. `hidden` are live
    sessions whose rows a takeover hides: the origin serves them all the same. `unreadable` are values of no sessions.
    The keys of a dump are those of its time. `are_limited` is whether there is a key with a time to live, as the origin
    writes them.
    """

    now: datetime
    is_dump: bool = False
    keys: int = 0
    without_row: int = 0
    ended: int = 0
    hidden: int = 0
    unreadable: int = 0
    are_limited: bool = False
    differing: Counter[Disagreement] = field(factory=Counter)

    def add(
        self, values: Mapping[str, str], rows: Mapping[str, SourceSession], hidden: Collection[str]
    ) -> Iterator[Mapping[str, object]]:
        """Count a page of keys, and yield facts about each one that is not as its row.

        `values` and `rows` are by id, and `hidden` are the ids whose rows a takeover hides.
        """
        self.keys += len(values)
        for request_id, text in values.items():
            found = read_cached(text)
            if found is None:
                self.unreadable += 1
                yield {"request_id": request_id, "redis": "unreadable"}
            elif request_id in rows and request_id not in hidden:
                yield from self._compare(rows[request_id], found)
            else:
                yield from self._alone(request_id, found, is_hidden=request_id in rows)

    def _compare(self, row: SourceSession, cached: SourceSession) -> Iterator[Mapping[str, object]]:
        found = list(disagreements(row, cached))
        self.differing.update(found)
        if found:
            counts = {"row": row.execution_count, "redis": cached.execution_count}
            yield {"request_id": row.request_id, "redis": found, "counts": counts}

    def _alone(self, request_id: str, cached: SourceSession, *, is_hidden: bool) -> Iterator[Mapping[str, object]]:
        """Count a key that the origin serves without looking at a row."""
        if cached.expires_at is None or cached.expires_at <= self.now:
            self.ended += 1
            return
        self.hidden += is_hidden
        self.without_row += not is_hidden
        yield {"request_id": request_id, "redis": "hidden" if is_hidden else "without_row"}
