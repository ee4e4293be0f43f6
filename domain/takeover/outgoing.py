"""A session as the origin is to have it when it returns: the inverse of `receiving.py`."""

import json
from collections.abc import Mapping

from domain.json_text import EMPTY_OBJECT, JsonText
from domain.takeover.leftovers import ACTIVE, is_set_aside
from domain.takeover.moving import InboundSession
from domain.takeover.source_session import SourceSession

COUNT_MAX = 2**31 - 1
"""The origin counts in four bytes."""

PENDING = "pending"
"""The compile status that generations 1 and 2 write with each execution."""

_DECODER = json.JSONDecoder()


def outgoing_row(outgoing: InboundSession) -> SourceSession:
    """Return the row of a session that was taken, with what changed here, or of one that was made here."""
    session, original = outgoing.session, outgoing.original
    left = members(original.leftovers)
    absent = json.loads(left.get("absent", "[]"))
    return SourceSession(
        request_id=str(session.ref.session_id),
        language_title=original.spelled_title,
        user_id=original.user_id,
        created_at=session.created_at,
        expires_at=session.expires_at,
        last_executed_at=session.last_executed_at,
        instants_fit=True,
        execution_count=_count(session.execution_count, left),
        status=json.loads(left.get("status", f'"{ACTIVE}"')),
        context=session.context,
        script_content=_script(outgoing, left, is_absent="script_content" in absent),
        script_hash=_text(left, "script_hash"),
        compile_options=left.get("compile_options"),
        compile_status=_text(left, "compile_status"),
        compile_error=_text(left, "compile_error"),
        metadata=_metadata(session.metadata, left, is_absent="metadata" in absent),
        artifact_bytes=None,
    )


def members(text: JsonText) -> Mapping[str, JsonText]:
    """Return the members of a JSON object, each value as its text: a number keeps its digits."""
    found: dict[str, JsonText] = {}
    at = 1
    while text[at] != "}":
        name, at = _DECODER.raw_decode(text, _skipped(text, at))
        start = _skipped(text, at)
        _, at = _DECODER.raw_decode(text, start)
        found[name] = JsonText(text[start:at])
    return found


def _skipped(text: str, at: int) -> int:
    """Return the place of the next value, behind spaces and separators."""
    while text[at] in " ,:":
        at += 1
    return at


def _text(left: Mapping[str, JsonText], name: str) -> str | None:
    return json.loads(left[name]) if name in left else None


def _count(count: int, left: Mapping[str, JsonText]) -> int:
    """Return the count; a negative one at the origin is 0 here, and stays unless it has grown."""
    return min(count, COUNT_MAX) if count else int(left.get("execution_count", "0"))


def _script(outgoing: InboundSession, left: Mapping[str, JsonText], *, is_absent: bool) -> str | None:
    """Return the script; that of a function to which the session was pinned is not the origin's."""
    if is_absent or outgoing.script is None:
        return None
    return "" if "script_content" in left else outgoing.script.source


def _metadata(metadata: JsonText, left: Mapping[str, JsonText], *, is_absent: bool) -> JsonText | None:
    """Return the metadata; those that were kept for the way back count unless others took their place here."""
    if metadata != EMPTY_OBJECT and not is_set_aside(metadata):
        return metadata
    if "metadata" in left:
        return left["metadata"]
    return None if is_absent else metadata
