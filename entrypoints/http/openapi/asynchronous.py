"""The contracts of the routes of executions that run later."""

from uuid import UUID

from domain.errors import QuotaReached, RuntimeUnavailable, StorageUnavailable
from domain.executions.execution import ExecutionNotFound
from domain.functions.schema import PinnedVersionNotFound, SchemaUnusable
from domain.idempotency import IdempotencyConflict, KeyInterrupted
from domain.queue.entry import ResponsesNotKept
from domain.queue.following import EventsNotKept
from domain.queue.state import ExecutionNotEnded, ExecutionNotKept
from domain.sessions.session import SessionClosed, SessionExpired, SessionNotFound
from entrypoints.http.contract import ApiExample, Contract, In, Link, Parameter, Tag
from entrypoints.http.openapi.executions import KEPT
from entrypoints.http.openapi.parameters import (
    CURSOR,
    EXECUTION_ID,
    EXECUTION_STATUS,
    IDEMPOTENCY_KEY,
    LAST_EVENT_ID,
    LIMIT,
    LINK,
    LOCATION,
    PREFER,
    PREFERENCE_APPLIED,
    REQUEST_ID,
    SINCE,
    EventId,
)
from entrypoints.http.response import EVENT_STREAM, NDJSON
from entrypoints.http.schemas.asynchronous import CancelResponse

_STATE = KEPT | {
    "request_id": REQUEST_ID.example,
    "language_title": "python-adder",
    "attempt": 1,
    "retry_of": None,
    "next_attempt": None,
    "starts_at": None,
    "expires_at": None,
    "position": None,
    "cancel_requested": False,
    "queue_time_ms": 0.1,
    "status_code": 200,
    "result_kept_until": None,
}
ACCEPTED = {
    "execution_id": EXECUTION_ID.example,
    "request_id": REQUEST_ID.example,
    "status": "queued",
    "attempt": 1,
    "accepted_at": "2026-11-25T12:00:01.000000Z",
    "starts_at": "2026-11-25T12:00:01.000000Z",
    "expires_at": "2026-11-25T13:00:00.000000Z",
    "position": None,
}

EXECUTION = Contract(
    Tag.EXECUTIONS,
    "Read an execution",
    "Returns one execution in any state. While it is queued or running, `Prefer: wait=N` waits up to N seconds for its "
    "end. status_code is the status that a waiting caller would have got. The whole result of an execution that was "
    "accepted to run later is kept until result_kept_until; after that, and for other executions, the history has its "
    "beginning.",
    parameters=(PREFER,),
    headers=(PREFERENCE_APPLIED,),
    errors=(ExecutionNotFound, SessionClosed, StorageUnavailable),
    examples=(ApiExample("ended", "The execution", response=_STATE),),
)

CANCEL = Contract(
    Tag.EXECUTIONS,
    "Cancel an execution",
    "Ends an execution that is queued, or stops one that runs. Repeating the call changes nothing. executed says "
    "whether the script ran. 200: it will not run, or it had ended before. 202: it is being stopped; read the "
    "execution for its end.",
    errors=(ExecutionNotFound, StorageUnavailable),
    other_responses={202: CancelResponse},
    examples=(
        ApiExample(
            "queued",
            "Cancel an execution that is queued",
            response={"execution_id": EXECUTION_ID.example, "status": "cancelled", "executed": "no"},
        ),
    ),
)

ERASE = Contract(
    Tag.EXECUTIONS,
    "Erase what an execution had and gave",
    "Erases params, result, error and output of an execution that has ended, in the history, under its Idempotency-Key "
    "and in messages to webhooks, and the files that its script left. Its state and its times stay. A repeated call "
    "with its key gets 409. Repeating this call changes nothing.",
    errors=(ExecutionNotFound, ExecutionNotEnded, StorageUnavailable),
    examples=(ApiExample("erased", "An execution that has ended"),),
)

RETRY = Contract(
    Tag.EXECUTIONS,
    "Repeat an execution",
    "Accepts an execution that has ended once more, with its params and options, as an execution of its own. A "
    "repeated call with its Idempotency-Key accepts nothing more, and returns what the first one accepted, in its "
    "present state.",
    parameters=(IDEMPOTENCY_KEY,),
    headers=(LOCATION,),
    errors=(
        IdempotencyConflict,
        KeyInterrupted,
        ExecutionNotFound,
        ExecutionNotEnded,
        ExecutionNotKept,
        ResponsesNotKept,
        SessionNotFound,
        SessionExpired,
        SessionClosed,
        PinnedVersionNotFound,
        SchemaUnusable,
        QuotaReached,
        RuntimeUnavailable,
        StorageUnavailable,
    ),
    examples=(ApiExample("again", "The new execution", response=ACCEPTED),),
)

_AFTER = Parameter(
    "after",
    In.QUERY,
    EventId,
    "As Last-Event-ID, for clients that cannot send the header. The header precedes it.",
    "0.0.0",
)

EVENTS = Contract(
    Tag.EXECUTIONS,
    "Follow an execution",
    "Streams the output and the progress of an execution that was accepted to run later, while it runs, and then its "
    "end: as Server-Sent Events, or as NDJSON with `Accept: application/x-ndjson`. The id of an event says what the "
    "reader has received, so a reader that was cut off continues with it at any controller, and gets each byte once. "
    "There is an end only once the end of the execution is recorded. A stream without one is to be continued, for "
    "example after 10 minutes. 204: the reader has the end.",
    parameters=(LAST_EVENT_ID, _AFTER, PREFER),
    headers=(PREFERENCE_APPLIED, LOCATION),
    errors=(ExecutionNotFound, EventsNotKept, StorageUnavailable),
    examples=(
        ApiExample(
            "output",
            "Text that the script has written",
            response={"id": "12.0.0", "event": "stdout", "data": {"text": "hello world\n", "offset": 0}},
        ),
    ),
    links=(Link("get_execution", "Read the execution.", {"execution_id": "$request.path.execution_id"}),),
    lines=(EVENT_STREAM, NDJSON),
    bodiless={204: "The reader has received the end."},
)

_SESSION = Parameter("session", In.QUERY, UUID, "Only executions of this session.", REQUEST_ID.example)

EXECUTIONS = Contract(
    Tag.EXECUTIONS,
    "List executions that run later",
    "Lists the executions of the caller, of all sessions, that were accepted to run later, newest first, until "
    "result_kept_until. A page may be shorter than its limit although there is a next page.",
    parameters=(EXECUTION_STATUS, _SESSION, SINCE, LIMIT, CURSOR),
    errors=(StorageUnavailable,),
    headers=(LINK,),
    examples=(
        ApiExample(
            "failed",
            "Those that failed",
            parameters={"status": "failed", "limit": 20},
            response={
                "executions": [
                    {name: each for name, each in ACCEPTED.items() if name != "position"}
                    | {
                        "language_title": "python-adder",
                        "status": "failed",
                        "retry_of": None,
                        "next_attempt": None,
                        "cancel_requested": False,
                        "execution_count": 1,
                        "result_kept_until": "2026-11-26T13:00:00.000000Z",
                    }
                ],
                "next_cursor": None,
            },
        ),
    ),
    links=(
        Link("list_asynchronous_executions", "Read the next page.", {"query.cursor": "$response.body#/next_cursor"}),
    ),
)

_NOTHING = {"queued": 0, "oldest_age_seconds": None, "running": 0}
_LANGUAGE = {"language": "python", **_NOTHING, "served": True, "reason": None}

QUEUE = Contract(
    Tag.EXECUTIONS,
    "Read the queue",
    "Returns how many executions of the caller wait and run, and whether this server can run each language; those of "
    "all owners for an admin.",
    errors=(StorageUnavailable,),
    examples=(
        ApiExample(
            "empty",
            "An empty queue",
            response={
                **_NOTHING,
                "languages": [_LANGUAGE, _LANGUAGE | {"language": "nodejs"}],
            },
        ),
    ),
)
