"""What callers are told of the operations on executions."""

from domain.errors import InvalidRequest, RuntimeUnavailable, StorageUnavailable
from domain.executions.execution import ExecutionFailed, ExecutionLost, ExecutionNotFound, ExecutionNotStored
from domain.functions.schema import FunctionVersionNotFound, ParamsRefused, SchemaUnusable
from domain.idempotency import IdempotencyConflict, KeyInFlight, KeyInterrupted
from domain.scripts.report import ExecutionUnknown
from domain.sessions.session import SessionClosed, SessionExpired, SessionNotFound
from entrypoints.http.contracts.contract import ApiExample, Contract, Link, Tag
from entrypoints.http.contracts.parameters import (
    CURSOR,
    IDEMPOTENCY_KEY,
    LIMIT,
    LINK,
    OUTCOME,
    REPLAYED_HEADER,
    REQUEST_ID,
    SINCE,
)
from entrypoints.http.errors import InvalidParams

EXECUTION_ID = "01a2101f-a3da-7b64-8000-000000000002"

_PARAMS = {"params": {"a": 5, "b": 3}}
_EXECUTED = {
    "request_id": REQUEST_ID.example,
    "execution_id": EXECUTION_ID,
    "language_title": "python-adder",
    "result": 8,
    "execution_time_ms": 0.9,
    "memory_usage_bytes": 11_534_336,
    "cpu_time_ms": 0.6,
    "queue_time_ms": 0.1,
    "cold_start": False,
    "execution_count": 1,
    "stdout": "",
    "stderr": "",
}
_KEPT = {
    "execution_id": EXECUTION_ID,
    "started_at": "2026-11-25T12:00:01.000000Z",
    "outcome": "succeeded",
    "execution_count": 1,
    "execution_time_ms": 0.9,
    "cpu_time_ms": 0.6,
    "memory_usage_bytes": 11_534_336,
    "cold_start": False,
    "params": {"a": 5, "b": 3},
    "result": 8,
    "error": None,
    "stdout": "",
    "stderr": "",
    "truncated": {},
}
_OF_SESSION = {"request_id": "$request.path.request_id"}

EXECUTE = Contract(
    Tag.EXECUTIONS,
    "Runs the session's script once and counts it. Every execution that reached a worker and ended counts, failed or "
    "not. Scripts are never repeated by the server: where it is not known whether one has run, the error says so in "
    "details.executed, and Retry-After stands only where repeating is safe. With an Idempotency-Key a repeated call "
    "gets the first one's answer, failures of the script too, and the script does not run again. Params of a session "
    "that was initialized from a function are held to its schema before anything runs.",
    parameters=(IDEMPOTENCY_KEY,),
    headers=(REPLAYED_HEADER,),
    errors=(
        InvalidParams,
        ParamsRefused,
        SessionNotFound,
        FunctionVersionNotFound,
        SessionExpired,
        SessionClosed,
        IdempotencyConflict,
        KeyInFlight,
        KeyInterrupted,
        ExecutionFailed,
        StorageUnavailable,
        ExecutionLost,
        ExecutionNotStored,
        RuntimeUnavailable,
        SchemaUnusable,
        ExecutionUnknown,
    ),
    examples=(ApiExample("sum", "Add two numbers", body=_PARAMS, answer=_EXECUTED),),
    links=(
        Link("history", "List the session's executions.", _OF_SESSION),
        Link("get", "Read the session.", _OF_SESSION),
        Link("execute", "Execute it again.", _OF_SESSION),
        Link("delete", "Close the session.", _OF_SESSION),
    ),
    body_optional=True,
)

HISTORY = Contract(
    Tag.EXECUTIONS,
    "Lists a session's executions, newest first, those of an expired session too until retention ends. A field that "
    "is too large to keep is cut short.",
    parameters=(OUTCOME, SINCE, LIMIT, CURSOR),
    errors=(InvalidRequest, SessionNotFound, SessionClosed, StorageUnavailable),
    headers=(LINK,),
    examples=(
        ApiExample(
            "newest",
            "The newest twenty",
            parameters={"limit": 20},
            answer={"executions": [_KEPT], "next_cursor": None},
        ),
    ),
    links=(
        Link("history", "The next page.", _OF_SESSION | {"query.cursor": "$response.body#/next_cursor"}),
        Link("get", "Read the session.", _OF_SESSION),
    ),
)

EXECUTION = Contract(
    Tag.EXECUTIONS,
    "Answers one execution as the history has it. One that is still under way is not there yet: 404.",
    errors=(ExecutionNotFound, SessionClosed, StorageUnavailable),
    examples=(ApiExample("ended", "The execution", answer=_KEPT | {"request_id": REQUEST_ID.example}),),
)
