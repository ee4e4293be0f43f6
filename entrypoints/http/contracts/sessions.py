"""What callers are told of the operations on sessions."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from domain.access.principal import ScopeMissing
from domain.errors import InvalidRequest, RuntimeUnavailable, StorageUnavailable
from domain.functions.function import FunctionNotFound
from domain.idempotency import IdempotencyConflict, KeyInFlight
from domain.scripts.language import InvalidLanguageTitle, LanguageNotServed
from domain.scripts.script import ScriptSyntaxError
from domain.sessions.session import SessionClosed, SessionExpired, SessionNotFound, UpdateConflict, VersionMismatch
from entrypoints.http.contracts.contract import ApiExample, Contract, In, Link, Parameter, Tag
from entrypoints.http.contracts.parameters import (
    CURSOR,
    ETAG,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    LANGUAGE,
    LANGUAGE_TITLE,
    LIMIT,
    LINK,
    OWNER,
    REPLAYED_HEADER,
    REQUEST_ID,
    STATUS,
)
from entrypoints.http.payloads import fields
from entrypoints.http.payloads.sessions import SessionResponse

SCRIPT_CONTENT = "script_content"
FIELD_NAMES = tuple(member.name for member in msgspec.structs.fields(SessionResponse))
"""The fields of a session that `?fields=` may name, the script aside."""

FIELDS = Parameter(
    "fields",
    In.QUERY,
    Annotated[list[Literal[(*FIELD_NAMES, SCRIPT_CONTENT)]], Meta(min_length=1)],  # type: ignore[valid-type]  # names
    f"Only these fields, separated by commas; {SCRIPT_CONTENT} is given only on demand.",
    ["status", "script_content"],
)
PickedFields: Any = msgspec.defstruct(
    "PickedFields",
    [
        *(
            (member.name, member.type | msgspec.UnsetType, msgspec.UNSET)
            for member in msgspec.structs.fields(SessionResponse)
        ),
        (SCRIPT_CONTENT, fields.StoredScript | msgspec.UnsetType, msgspec.UNSET),
    ],
    namespace={"__doc__": "The fields of a session that were asked for."},
)

_GONE = (SessionNotFound, SessionExpired, SessionClosed)
_OF_SESSION = {"request_id": "$response.body#/request_id"}
_FOLLOWING = (
    Link("execute", "Execute its script.", _OF_SESSION),
    Link("get", "Read it.", _OF_SESSION),
    Link("patch", "Change it.", _OF_SESSION),
    Link("delete", "Close it.", _OF_SESSION),
    Link("history", "List its executions.", _OF_SESSION),
)

_ADDER = {"script_content": "def handle(params):\n    return params['a'] + params['b']\n"}
_PRICED = {
    "script_content": "return event.params.a * event.context.rate;",
    "context": {"rate": 1.2},
    "metadata": {"order": "4711"},
    "ttl_seconds": 600,
    "renewal": "sliding",
    "limits": {"timeout_ms": 1000, "memory_mb": 64, "isolation": "session"},
}
_INITIALIZED = {
    "request_id": REQUEST_ID.example,
    "status": "initialized",
    "language_title": "python-adder",
    "expires_at": "2026-11-25T13:00:00.000000Z",
    "script_hash": "2b0a6c5d0d4f8e1c9b7a3f5e6d7c8b9a0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "syntax_checked": True,
}
_SESSION = {
    "request_id": REQUEST_ID.example,
    "language_title": "python-adder",
    "user_id": "anonymous",
    "status": "active",
    "created_at": "2026-11-25T12:00:00.000000Z",
    "expires_at": "2026-11-25T13:00:00.000000Z",
    "last_executed_at": None,
    "execution_count": 0,
    "renewal": "fixed",
    "limits": {"timeout_ms": 5000, "memory_mb": 128, "isolation": "session"},
    "context": {},
    "metadata": {},
    "script_hash": _INITIALIZED["script_hash"],
    "function_version": None,
    "version": 1,
}

INITIALIZE = Contract(
    Tag.SESSIONS,
    "Stores a script with its context, to be executed until the session expires or is closed. The script is parsed "
    "here: a bad one is refused with line and column, and no session is made.",
    parameters=(LANGUAGE_TITLE, IDEMPOTENCY_KEY),
    headers=(REPLAYED_HEADER,),
    errors=(
        InvalidLanguageTitle,
        ScriptSyntaxError,
        LanguageNotServed,
        FunctionNotFound,
        IdempotencyConflict,
        KeyInFlight,
        StorageUnavailable,
        RuntimeUnavailable,
    ),
    examples=(
        ApiExample(
            "python", "A sum in Python", parameters={"Language-Title": "python-adder"}, body=_ADDER, answer=_INITIALIZED
        ),
        ApiExample(
            "nodejs",
            "A price in Node.js, with a context and limits, prolonged by use",
            parameters={"Language-Title": "nodejs-calculator"},
            body=_PRICED,
            answer=_INITIALIZED | {"language_title": "nodejs-calculator", "expires_at": "2026-11-25T12:10:00.000000Z"},
        ),
    ),
    links=_FOLLOWING,
    body_optional=True,
)

GET = Contract(
    Tag.SESSIONS,
    "Answers a live session whole, or the fields of it that are asked for. One that has ended is told apart from one "
    "that never was until retention ends.",
    parameters=(FIELDS,),
    errors=(InvalidRequest, *_GONE, StorageUnavailable),
    headers=(ETAG,),
    examples=(
        ApiExample("whole", "The session", answer=_SESSION),
        ApiExample(
            "picked",
            "Its status and script",
            parameters={"fields": ["status", "script_content"]},
            answer={"status": "active", **_ADDER},
        ),
    ),
    alternative=PickedFields,
)

PATCH = Contract(
    Tag.SESSIONS,
    "Replaces each given field whole; what is left out stays. It holds from the next execution on. A length counts "
    "from now, and one that would shorten the life leaves its end where it is.",
    parameters=(IF_MATCH,),
    errors=(*_GONE, VersionMismatch, UpdateConflict, StorageUnavailable),
    headers=(ETAG,),
    examples=(
        ApiExample(
            "context",
            "Another context, if nobody has changed the session since",
            parameters={"If-Match": '"1"'},
            body={"context": {"rate": 1.5}, "ttl_seconds": 1800},
            answer=_SESSION | {"context": {"rate": 1.5}, "version": 2},
        ),
    ),
    links=_FOLLOWING,
)

DELETE = Contract(
    Tag.SESSIONS,
    "Closes the session and empties it at once: script, context and metadata are gone, and calls answer 410 until "
    "retention ends. Closing again changes nothing; what runs already runs to its end.",
    errors=(SessionNotFound, UpdateConflict, StorageUnavailable),
    examples=(ApiExample("close", "Close the session"),),
)

LIST = Contract(
    Tag.SESSIONS,
    "Lists the caller's sessions, newest first. A page may be shorter than its limit while there is a next one: only "
    "next_cursor tells. Status is judged on all pages at the instant of the first.",
    parameters=(STATUS, LANGUAGE, OWNER, LIMIT, CURSOR),
    errors=(InvalidRequest, ScopeMissing, StorageUnavailable),
    headers=(LINK,),
    examples=(
        ApiExample(
            "active",
            "What is live in Python",
            parameters={"status": "active", "language": "python", "limit": 20},
            answer={"sessions": [_SESSION], "next_cursor": None},
        ),
    ),
    links=(
        Link("get", "Read the first one.", {"request_id": "$response.body#/sessions/0/request_id"}),
        Link("list", "The next page.", {"query.cursor": "$response.body#/next_cursor"}),
    ),
)
