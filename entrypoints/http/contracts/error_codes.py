"""What the code of an error means."""

from collections.abc import Mapping

INTERNAL_ERROR = "INTERNAL_ERROR"

MEANINGS: Mapping[str, str] = {
    "CONFLICT": "others were faster, or the first call is still under way",
    "CPU_LIMIT": "the script used up its CPU time",
    "EXECUTION_NOT_FOUND": "no such execution is recorded, or it is somebody else's, or it was removed after retention",
    "EXECUTION_TIMEOUT": "the script reached its wall limit, and its sandbox was killed",
    "FORBIDDEN": "the token or key does not have the scope",
    "FUNCTION_NOT_FOUND": "no function is registered under the title, and no script came along; or the session's version is no longer kept",
    "IDEMPOTENCY_CONFLICT": "the Idempotency-Key was used for a call with another payload",
    INTERNAL_ERROR: "a bug; the log has its cause under the error_id",
    "INVALID_LANGUAGE_TITLE": "the language-title does not follow the grammar",
    "INVALID_PARAMS": "the params are not what the script takes",
    "INVALID_REQUEST": "all that is wrong with the request, each problem with its JSON pointer",
    "KEYS_UNAVAILABLE": "the keys to verify tokens with cannot be had now",
    "MEMORY_LIMIT": "the script used up its memory",
    "METHOD_NOT_ALLOWED": "the path does not take the method; Allow has those that it takes",
    "NOT_FOUND": "there is nothing at this path",
    "OUTPUT_LIMIT": "the script wrote more than is taken",
    "OVERLOADED": "too many calls are waiting, and nothing was begun",
    "PAYLOAD_TOO_LARGE": "the body, or a field of it, is over its size",
    "PRECONDITION_FAILED": "it is at another version than If-Match names, or is there although If-None-Match forbids it",
    "PROCESS_LIMIT": "the script tried to start processes",
    "RATE_LIMITED": "the caller's quota is used up for now",
    "RESULT_NOT_SERIALIZABLE": "the result cannot be written as JSON",
    "RESULT_TOO_LARGE": "the result is over its size",
    "RUNTIME_NOT_FOUND": "no runtime serves the language",
    "RUNTIME_UNAVAILABLE": "no sandbox or runtime host can run it, or the host ended its worker; details.executed tells whether it may have run",
    "SCRIPT_ERROR": "the script raised an error",
    "SCRIPT_EXITED": "the script ended its process",
    "SCRIPT_SYNTAX_ERROR": "the script does not parse",
    "SESSION_CLOSED": "the session was closed",
    "SESSION_EXPIRED": "the session's life has ended",
    "SESSION_NOT_FOUND": "there is no such session, or it is somebody else's, or it was removed after retention",
    "SHUTTING_DOWN": "this process takes no new work",
    "STORAGE_UNAVAILABLE": "the database cannot be reached in time; details.stored tells what became of a write",
    "UNAUTHORIZED": "no token or key, or none that is accepted",
    "UNSUPPORTED_MEDIA_TYPE": "the body is not declared as JSON in UTF-8",
}
"""What each code means, in half a sentence."""
