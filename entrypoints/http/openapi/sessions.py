"""The contracts of the routes of sessions."""

from attrs import evolve

from domain.access.principal import ScopeMissing
from domain.environments.environment import EnvironmentNotFound, EnvironmentNotReady
from domain.errors import RuntimeUnavailable, StorageUnavailable
from domain.functions.function import FunctionNotFound, FunctionVersionNotFound
from domain.grants.ceilings import EgressNotAllowed
from domain.idempotency import IdempotencyConflict, KeyInFlight
from domain.scripts.language import InvalidLanguageTitle, LanguageNotServed
from domain.scripts.script import ScriptSyntaxError
from domain.secrets.secret import SecretNotAllowed, SecretNotFound, SecretsUnavailable
from domain.sessions.session import SessionClosed, SessionExpired, SessionNotFound, UpdateConflict, VersionMismatch
from entrypoints.http.contract import ApiExample, Contract, Link, Tag
from entrypoints.http.openapi.parameters import (
    CURSOR,
    ETAG,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    LANGUAGE,
    LANGUAGE_TITLE,
    LIMIT,
    LINK,
    OWNER,
    REPLAYED_HEADER,
    REQUEST_ID,
    STATUS,
)
from entrypoints.http.openapi.session_parameters import (
    CANCEL_RUNNING,
    FIELDS,
    KEPT_UNTIL,
    LISTED_FIELDS,
    METADATA,
    PURGE,
    TITLE_TEXT,
)
from entrypoints.http.response import NDJSON, PLAIN
from entrypoints.http.schemas.sessions import PickedFields, PickedPage

_ENDED = (SessionNotFound, SessionExpired, SessionClosed)
_OF_SESSION = {"request_id": "$response.body#/request_id"}
_FOLLOWING = (
    Link("execute_session", "Execute the script.", _OF_SESSION),
    Link("get_session", "Read the session.", _OF_SESSION),
    Link("patch_session", "Change the session.", _OF_SESSION),
    Link("close_session", "Close the session.", _OF_SESSION),
    Link("list_executions", "List the executions.", _OF_SESSION),
)

_ADDER = {"script_content": "def handle(params):\n    return params['a'] + params['b']\n"}
_PRICE = {
    "script_content": "return event.params.a * event.context.rate;",
    "context": {"rate": 1.2},
    "metadata": {"order": "4711"},
    "ttl_seconds": 600,
    "renewal": "sliding",
    "limits": {"timeout_ms": 1000, "memory_mb": 64, "isolation": "session"},
}
_STATE = {"mode": "exclusive", "save_on": "success", "repl": False}
_COUNTER = {
    "script_content": "state['count'] = state.get('count', 0) + 1",
    "state": {"mode": "exclusive"},
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
    "ttl_seconds": 3600,
    "last_executed_at": None,
    "execution_count": 0,
    "renewal": "fixed",
    "limits": {"timeout_ms": 5000, "memory_mb": 128, "isolation": "session"},
    "context": {},
    "metadata": {},
    "script_hash": _INITIALIZED["script_hash"],
    "function_version": None,
    "convention": "own",
    "version": 1,
}

_LISTED = {name: value for name, value in _SESSION.items() if name != "context"}

INITIALIZE = Contract(
    Tag.SESSIONS,
    "Initialize a session",
    "Stores a script with its context. The script can be executed until the session expires or is closed. The "
    "service parses the script first. If it has a syntax error, the call fails with line and column, and no session "
    "is created.",
    parameters=(LANGUAGE_TITLE, IDEMPOTENCY_KEY),
    headers=(REPLAYED_HEADER,),
    errors=(
        InvalidLanguageTitle,
        ScriptSyntaxError,
        LanguageNotServed,
        FunctionNotFound,
        FunctionVersionNotFound,
        IdempotencyConflict,
        EgressNotAllowed,
        SecretNotFound,
        SecretNotAllowed,
        SecretsUnavailable,
        EnvironmentNotFound,
        EnvironmentNotReady,
        KeyInFlight,
        StorageUnavailable,
        RuntimeUnavailable,
    ),
    examples=(
        ApiExample(
            "python",
            "A sum in Python",
            parameters={"Language-Title": "python-adder"},
            body=_ADDER,
            response=_INITIALIZED,
        ),
        ApiExample(
            "nodejs",
            "A price in Node.js, with context, limits and sliding renewal",
            parameters={"Language-Title": "nodejs-calculator"},
            body=_PRICE,
            response=_INITIALIZED
            | {"language_title": "nodejs-calculator", "expires_at": "2026-11-25T12:10:00.000000Z"},
        ),
        ApiExample(
            "counter",
            "A counter in Python that keeps its state",
            parameters={"Language-Title": "python-counter"},
            body=_COUNTER,
            response=_INITIALIZED | {"language_title": "python-counter", "grants": {"state": _STATE}},
        ),
    ),
    links=_FOLLOWING,
    body_optional=True,
)

INITIALIZE_BATCH = Contract(
    Tag.SESSIONS,
    "Initialize many sessions",
    "Initializes a session for each item, as initialize does. As an item ends, the service sends a line of JSON for it "
    "with its status and the session or the error: NDJSON, or plain text with `Accept: text/plain`. Up to 32 items are "
    "in progress at once, so lines are not in the order of items. A failed item does not stop the others. The batch "
    "ends if the client disconnects, or reads nothing of the response for 30 seconds: items in progress may be stored, "
    "and no other item begins. An Idempotency-Key is rejected. Give each item an idempotency_key, and the batch can be "
    "repeated.",
    parameters=(
        evolve(LANGUAGE_TITLE, required=False, description="The language-title of items that have none of their own."),
    ),
    errors=(InvalidLanguageTitle, StorageUnavailable),
    examples=(
        ApiExample(
            "tenants",
            "A session for each of two tenants",
            body={
                "items": [
                    {"language_title": "python-adder", **_ADDER, "metadata": {"tenant": name}, "idempotency_key": name}
                    for name in ("tenant-1", "tenant-2")
                ]
            },
            response={
                "index": 0,
                "status": 200,
                **{name: value for name, value in _INITIALIZED.items() if name != "status"},
                "replayed": False,
            },
        ),
    ),
    links=(Link("list_sessions", "List the sessions.", {"query.status": "active"}),),
    lines=(NDJSON, PLAIN),
)

GET = Contract(
    Tag.SESSIONS,
    "Read a session",
    "Returns a live session, or selected fields of it. Until retention ends, the error says whether a session has "
    "expired, was closed, or never existed. The script of a session that is pinned to a function needs the scope "
    "read:functions.",
    parameters=(FIELDS, IF_MATCH, IF_NONE_MATCH),
    errors=(*_ENDED, VersionMismatch, ScopeMissing, StorageUnavailable),
    headers=(ETAG,),
    examples=(
        ApiExample("whole", "The session", response=_SESSION),
        ApiExample(
            "picked",
            "Its status and script",
            parameters={"fields": ["status", "script_content"]},
            response={"status": "active", **_ADDER},
        ),
    ),
    alternative=PickedFields,
)

PATCH = Contract(
    Tag.SESSIONS,
    "Change a session",
    "Replaces the given fields completely. Absent fields stay as they are. The change applies from the next "
    "execution on. A script and its limits never change: initialize a new session for others. ttl_seconds counts from "
    "now, and never shortens the lifetime. If it would end a fixed session earlier, the call fails with 400. A sliding "
    "session takes it as the length of its next renewals.",
    parameters=(IF_MATCH, IF_NONE_MATCH),
    errors=(*_ENDED, VersionMismatch, UpdateConflict, StorageUnavailable),
    headers=(ETAG,),
    examples=(
        ApiExample(
            "context",
            "Another context, if the session has not changed since version 1",
            parameters={"If-Match": '"1"'},
            body={"context": {"rate": 1.5}, "ttl_seconds": 7200},
            response=_SESSION
            | {
                "context": {"rate": 1.5},
                "version": 2,
                "expires_at": "2026-11-25T14:00:00.000000Z",
                "ttl_seconds": 7200,
            },
        ),
    ),
    links=_FOLLOWING,
)

DELETE = Contract(
    Tag.SESSIONS,
    "Close a session",
    "Closes the session and deletes its script, context and metadata at once. Until retention ends, calls for it get "
    "410. Closing it again changes nothing. A script that runs continues to its end unless cancel=true stops it, and "
    "executions in the queue are cancelled. Params, results and output of its "
    "executions stay in the database until the time in Kept-Until at most: only repeating a call with its "
    "Idempotency-Key can read them. With purge=true they are erased at once, with the responses under keys, also if "
    "the session was closed or removed before. The audit record then says that it was purged, and has no content.",
    parameters=(PURGE, CANCEL_RUNNING, IF_MATCH, IF_NONE_MATCH),
    errors=(SessionNotFound, VersionMismatch, UpdateConflict, StorageUnavailable),
    headers=(KEPT_UNTIL,),
    examples=(
        ApiExample("close", "Close the session"),
        ApiExample("purge", "Close the session, and erase its executions", parameters={"purge": "true"}),
    ),
)

LIST = Contract(
    Tag.SESSIONS,
    "List sessions",
    "Lists the sessions of the caller, newest first, without their contexts. The order is that of the ids, so sessions "
    "with ids of another service come first. A page may be shorter than its limit although there is a next page: "
    "only next_cursor shows whether there is one. All pages show the status at the time of the first page.",
    parameters=(STATUS, LANGUAGE, METADATA, TITLE_TEXT, OWNER, LISTED_FIELDS, LIMIT, CURSOR),
    errors=(ScopeMissing, StorageUnavailable),
    headers=(LINK,),
    examples=(
        ApiExample(
            "active",
            "Live sessions in Python",
            parameters={"status": "active", "language": "python", "limit": 20},
            response={"sessions": [_LISTED], "next_cursor": None},
        ),
        ApiExample(
            "metadata",
            "The ids and contexts of the sessions of one order",
            parameters={"metadata": '{"order":"4711"}', "fields": ["context"]},
            response={"sessions": [{"request_id": REQUEST_ID.example, "context": {"rate": 1.2}}], "next_cursor": None},
        ),
    ),
    alternative=PickedPage,
    links=(
        Link("get_session", "Read the first session.", {"request_id": "$response.body#/sessions/0/request_id"}),
        Link("list_sessions", "Read the next page.", {"query.cursor": "$response.body#/next_cursor"}),
    ),
)
