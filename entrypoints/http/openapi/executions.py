"""The contracts of the routes of executions and batches."""

from domain.environments.environment import EnvironmentNotFound, EnvironmentNotReady
from domain.errors import QuotaReached, RuntimeUnavailable, StorageUnavailable
from domain.executions.execution import ExecutionFailed, ExecutionLost, ExecutionNotStored
from domain.files.file import FileExpired, FileNotFound
from domain.functions.function import FunctionNotFound, FunctionVersionNotFound
from domain.functions.schema import ParamsRefused, PinnedVersionNotFound, SchemaUnusable
from domain.grants.ceilings import EgressNotAllowed
from domain.grants.grants import GrantsUnknown
from domain.idempotency import IdempotencyConflict, KeyInFlight, KeyInterrupted
from domain.queue.entry import CallbackNotFound, ScheduleRefused
from domain.scripts.language import InvalidLanguageTitle, LanguageNotServed
from domain.scripts.report import ExecutionUnknown
from domain.secrets.secret import SecretNotAllowed, SecretNotFound, SecretsUnavailable
from domain.sessions.session import SessionClosed, SessionExpired, SessionNotFound, UpdateConflict
from domain.states.state import StateTaken
from entrypoints.http.contract import ApiExample, Contract, Link, Tag
from entrypoints.http.errors import InvalidParams
from entrypoints.http.openapi.parameters import (
    ACCEPTED_HEADERS,
    CURSOR,
    EXECUTION_ID,
    EXECUTION_STATUS,
    IDEMPOTENCY_KEY,
    LIMIT,
    LINK,
    OUTCOME,
    PINNED_TITLE,
    PREFER,
    PREFERENCE_APPLIED,
    REPLAYED_HEADER,
    REQUEST_ID,
    SINCE,
)
from entrypoints.http.response import NDJSON, PLAIN
from entrypoints.http.schemas.asynchronous import AcceptedResponse

EXECUTED = {
    "request_id": REQUEST_ID.example,
    "execution_id": EXECUTION_ID.example,
    "language_title": "python-adder",
    "result": 8,
    "result_given": True,
    "execution_time_ms": 0.9,
    "memory_usage_bytes": 11_534_336,
    "cpu_time_ms": 0.6,
    "queue_time_ms": 0.1,
    "cold_start": False,
    "execution_count": 1,
    "stdout": "",
    "stderr": "",
}
KEPT = {
    "execution_id": EXECUTION_ID.example,
    "started_at": "2026-11-25T12:00:01.000000Z",
    "status": "succeeded",
    "outcome": "succeeded",
    "execution_count": 1,
    "execution_time_ms": 0.9,
    "cpu_time_ms": 0.6,
    "memory_usage_bytes": 11_534_336,
    "cold_start": False,
    "params": {"a": 5, "b": 3},
    "result": 8,
    "result_given": True,
    "error": None,
    "stdout": "",
    "stderr": "",
    "truncated": {},
    "beginnings": {},
}
_OF_SESSION = {"request_id": "$request.path.request_id"}

_RUN_ERRORS = (
    ScheduleRefused,
    CallbackNotFound,
    QuotaReached,
    IdempotencyConflict,
    KeyInFlight,
    StateTaken,
    KeyInterrupted,
    ExecutionFailed,
    StorageUnavailable,
    ExecutionLost,
    ExecutionNotStored,
    RuntimeUnavailable,
    SchemaUnusable,
    EgressNotAllowed,
    SecretNotFound,
    SecretNotAllowed,
    SecretsUnavailable,
    EnvironmentNotFound,
    EnvironmentNotReady,
    FileNotFound,
    FileExpired,
    GrantsUnknown,
    ExecutionUnknown,
)
"""Of every call that executes one script: its key, the script, and the record of the execution."""

EXECUTE = Contract(
    Tag.EXECUTIONS,
    "Execute the script of a session",
    "Runs the script of the session once. Executions that reached a worker and ended are counted, including failed "
    "ones. The service never repeats a script. If it cannot know whether the script ran, the error says so in "
    "details.executed. Retry-After is present only if repeating the call is safe. With an Idempotency-Key, a "
    "repeated call gets the first response, even if the script failed, and the script does not run again. If the "
    "session was initialized from a function, params must conform to its schema. With `Prefer: respond-async` or "
    "`Prefer: wait=N` the execution is stored and may run later: if it has not ended after N seconds, the response is "
    "202, and Location names it. With `Accept: text/event-stream` or `application/x-ndjson` it is stored too, and the "
    "response is the stream of its live events, as that of follow_execution. Typed clients do not ask for it.",
    parameters=(IDEMPOTENCY_KEY, PREFER),
    headers=(REPLAYED_HEADER, *ACCEPTED_HEADERS),
    errors=(
        InvalidParams,
        ParamsRefused,
        SessionNotFound,
        PinnedVersionNotFound,
        SessionExpired,
        SessionClosed,
        *_RUN_ERRORS,
    ),
    examples=(
        ApiExample("sum", "Add two numbers", body={"params": {"a": 5, "b": 3}}, response=EXECUTED),
        ApiExample(
            "later",
            "Add two numbers later, and wait up to ten seconds for the sum",
            body={"params": {"a": 5, "b": 3}},
            parameters={"Prefer": "respond-async, wait=10"},
            response=EXECUTED,
        ),
    ),
    other_responses={202: AcceptedResponse},
    links=(
        Link("list_executions", "List the executions of the session.", _OF_SESSION),
        Link("get_session", "Read the session.", _OF_SESSION),
        Link("execute_session", "Execute the script again.", _OF_SESSION),
        Link("close_session", "Close the session.", _OF_SESSION),
    ),
    body_optional=True,
)

_OF_FUNCTION = {"language_title": "$request.path.language_title"}

EXECUTE_FUNCTION = Contract(
    Tag.FUNCTIONS,
    "Execute a function",
    "Runs a function once by its name: the caller's own, or else the shared one, at its current version, or at the one "
    "behind an @. The call runs in a hidden session, which the service opens for each owner and version, and which "
    "lives as long as calls renew it. request_id is its id. Otherwise the call is as that of a session. An "
    "Idempotency-Key belongs to the caller and the function: after a new version, a repeated call still gets the first "
    "response.",
    parameters=(PINNED_TITLE, IDEMPOTENCY_KEY, PREFER),
    headers=(REPLAYED_HEADER, *ACCEPTED_HEADERS),
    errors=(
        InvalidLanguageTitle,
        LanguageNotServed,
        InvalidParams,
        ParamsRefused,
        FunctionNotFound,
        FunctionVersionNotFound,
        PinnedVersionNotFound,
        UpdateConflict,
        *_RUN_ERRORS,
    ),
    examples=(ApiExample("sum", "Add two numbers", body={"params": {"a": 5, "b": 3}}, response=EXECUTED),),
    other_responses={202: AcceptedResponse},
    links=(
        Link("list_function_executions", "List the calls of the function.", _OF_FUNCTION),
        Link("execute_function", "Execute the function again.", _OF_FUNCTION),
    ),
    body_optional=True,
)

EXECUTE_BATCH = Contract(
    Tag.EXECUTIONS,
    "Execute the script of a session many times",
    "Runs the script of the session once for each item. As an item ends, the service sends a line of JSON for it, with "
    "its status and the response of execute or the error: NDJSON, or plain text with `Accept: text/plain`. Items begin "
    "in order, one at a time unless parallel is larger. A failed item does not stop the others. Each item is an "
    "execution of its own: it is limited, counted and stored in the history. The batch ends if the client disconnects, "
    "or reads nothing of the response for 30 seconds: items that run continue to their end, and no other item begins. "
    "A response that breaks off has no lines for items that may not have run. An Idempotency-Key is rejected. With "
    "`Prefer: respond-async` the items are stored and run later: the line of each has status 202, its execution_id, "
    "and when it may start and expires. A batch does not honour the other preferences.",
    parameters=(PREFER,),
    headers=(PREFERENCE_APPLIED,),
    errors=(SessionNotFound, SessionExpired, SessionClosed, StorageUnavailable),
    examples=(
        ApiExample(
            "sums",
            "Add numbers twice, with one line for each sum",
            body={"items": [{"params": {"a": 5, "b": 3}}, {"params": {"a": 1, "b": 2}}]},
            response={"index": 0, "status": 200} | EXECUTED,
        ),
    ),
    links=(Link("list_executions", "List the executions of the session.", _OF_SESSION),),
    lines=(NDJSON, PLAIN),
)

HISTORY = Contract(
    Tag.EXECUTIONS,
    "List the executions of a session",
    "Lists the executions of a session, newest first. Until retention ends, this also works for an expired session. "
    "Of a field of more than 65536 characters only the beginning is stored: truncated and beginnings say so.",
    parameters=(EXECUTION_STATUS, OUTCOME, SINCE, LIMIT, CURSOR),
    errors=(SessionNotFound, SessionClosed, StorageUnavailable),
    headers=(LINK,),
    examples=(
        ApiExample(
            "newest",
            "The newest twenty",
            parameters={"limit": 20},
            response={"executions": [KEPT], "next_cursor": None},
        ),
    ),
    links=(
        Link("list_executions", "Read the next page.", _OF_SESSION | {"query.cursor": "$response.body#/next_cursor"}),
        Link("get_session", "Read the session.", _OF_SESSION),
    ),
)

FUNCTION_HISTORY = Contract(
    Tag.FUNCTIONS,
    "List the executions of a function",
    "Lists the caller's calls of a function by its name, newest first: of all versions, or of the one behind an @. "
    "Executions of sessions that were initialized from the function are in the lists of their sessions.",
    parameters=(PINNED_TITLE, EXECUTION_STATUS, OUTCOME, SINCE, LIMIT, CURSOR),
    errors=(InvalidLanguageTitle, LanguageNotServed, FunctionNotFound, StorageUnavailable),
    headers=(LINK,),
    examples=(
        ApiExample(
            "newest",
            "The newest twenty",
            parameters={"limit": 20},
            response={"executions": [KEPT], "next_cursor": None},
        ),
    ),
    links=(
        Link(
            "list_function_executions",
            "Read the next page.",
            _OF_FUNCTION | {"query.cursor": "$response.body#/next_cursor"},
        ),
    ),
)
