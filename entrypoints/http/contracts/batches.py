"""What callers are told of the operations on batches."""

from domain.errors import InvalidRequest, StorageUnavailable
from domain.sessions.session import SessionClosed, SessionExpired, SessionNotFound
from entrypoints.http.contracts.contract import ApiExample, Contract, Link, Tag
from entrypoints.http.contracts.executions import EXECUTION_ID
from entrypoints.http.contracts.parameters import REQUEST_ID
from entrypoints.http.streaming_response import MEDIA_TYPE

_LINE = {
    "index": 0,
    "status": 200,
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
_OF_SESSION = {"request_id": "$request.path.request_id"}

EXECUTE_BATCH = Contract(
    Tag.EXECUTIONS,
    "Runs the session's script once for each item, and sends a line of JSON (NDJSON) for each as it ends, with what "
    "execute would have answered or the error, and its status. Items run in order, one at a time unless parallel says "
    "more; a failing one stops no other. Each is an execution of its own: limited, counted and kept in the history. "
    "Who hangs up, or takes nothing of the answer for half a minute, ends the batch: what has started goes on to its "
    "end, and nothing more is begun. An answer that breaks off lacks the lines of items that may not have run. An "
    "Idempotency-Key is refused.",
    errors=(InvalidRequest, SessionNotFound, SessionExpired, SessionClosed, StorageUnavailable),
    examples=(
        ApiExample(
            "sums",
            "Add numbers twice, one line each",
            body={"items": [{"params": {"a": 5, "b": 3}}, {"params": {"a": 1, "b": 2}}]},
            answer=_LINE,
        ),
    ),
    links=(Link("history", "List the session's executions.", _OF_SESSION),),
    media_type=MEDIA_TYPE,
)
