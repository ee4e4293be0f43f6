"""Sessions as the first generation of the origin keeps them in Redis, and where they differ from its table."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from attrs import frozen

from domain.json_text import JsonText
from domain.takeover.outgoing import members
from domain.takeover.source_session import SourceSession

KEY_PREFIX = "session:"
"""What stands before the id in a key."""

_NULL = "null"
_SAME_EXECUTION = timedelta(seconds=1)
_NEVER = datetime(1, 1, 1, tzinfo=UTC)
_NAMES = frozenset(
    (
        *("request_id", "language_title", "user_id", "created_at", "expires_at", "last_executed_at", "execution_count"),
        *("status", "context", "script_content", "script_hash", "compiled_artifact", "compile_options"),
        *("compile_status", "compile_error", "metadata"),
    )
)


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
    Disagreement.CONTENT: "The scripts or language-titles differ. Those of the table count.",
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
        found = members(JsonText(text))
        return _session(found) if found.keys() >= _NAMES else None
    except (ValueError, TypeError, IndexError, RecursionError):
        return None


def _session(found: Mapping[str, JsonText]) -> SourceSession:
    plain: dict[str, Any] = {
        name: json.loads(found[name]) for name in _NAMES - {"context", "compile_options", "metadata"}
    }
    artifact = plain["compiled_artifact"]
    return SourceSession(
        request_id=_text(plain["request_id"]),
        language_title=_text(plain["language_title"]),
        user_id=plain["user_id"],
        created_at=_instant(plain["created_at"]),
        expires_at=_instant(plain["expires_at"]),
        last_executed_at=None if plain["last_executed_at"] is None else _instant(plain["last_executed_at"]),
        instants_fit=True,
        execution_count=int(plain["execution_count"] + 0),
        status=_text(plain["status"]),
        context=found["context"],
        script_content=plain["script_content"],
        script_hash=plain["script_hash"],
        compile_options=_json(found["compile_options"]),
        compile_status=plain["compile_status"],
        compile_error=plain["compile_error"],
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
    """Yield how a key differs from its row. JSON is not compared: Redis has it in another form."""
    if (row.execution_count or 0) != (cached.execution_count or 0):
        yield Disagreement.COUNT
    if row.expires_at != cached.expires_at:
        yield Disagreement.EXPIRY
    if (row.language_title, row.script_content) != (cached.language_title, cached.script_content):
        yield Disagreement.CONTENT


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("an instant without a zone")
    return at.astimezone(UTC)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("it is no text")
    return value


def _json(text: JsonText) -> str | None:
    return None if text == _NULL else text
