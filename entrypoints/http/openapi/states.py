"""The contracts of the routes of states."""

from domain.errors import StorageUnavailable
from domain.sessions.session import SessionClosed, SessionExpired, SessionNotFound
from domain.states.state import StateKeyNotFound, StateMismatch, StateNotFound, StateRefused, StateTaken
from entrypoints.http.contract import ApiExample, Contract, Tag
from entrypoints.http.openapi.parameters import ETAG, IF_MATCH, IF_NONE_MATCH

_ENDED = (SessionNotFound, SessionExpired, SessionClosed, StateNotFound)
_WRITES = (*_ENDED, StateMismatch, StateTaken, StateRefused, StorageUnavailable)
_READS = (*_ENDED, StateMismatch, StorageUnavailable)
_CONDITIONS = (IF_MATCH, IF_NONE_MATCH)
_WAITS = (
    "While an execution writes the state, the call waits for QUEUE_TIMEOUT_MS at most; then it gets 409 CONFLICT with "
    "the id of that execution, and nothing was stored."
)
_CREATES = "If-None-Match: * stores only if nothing was saved before."
_COUNTED = {"state": {"count": 3}, "version": 2}

GET_STATE = Contract(
    Tag.SESSIONS,
    "Read the state of a session",
    "Returns the state as the last execution, or the last write, has saved it. The ETag is its version. A session has "
    "a state only if it was granted at initialize.",
    parameters=_CONDITIONS,
    errors=_READS,
    headers=(ETAG,),
    examples=(ApiExample("counted", "A counter", response=_COUNTED),),
)

PUT_STATE = Contract(
    Tag.SESSIONS,
    "Replace the state of a session",
    f"Replaces the whole state. {_WAITS} {_CREATES}",
    parameters=_CONDITIONS,
    errors=_WRITES,
    headers=(ETAG,),
    examples=(ApiExample("seeded", "A first value", body={"state": {"count": 3}}, response=_COUNTED),),
)

PATCH_STATE = Contract(
    Tag.SESSIONS,
    "Change the state of a session",
    f"Applies a merge patch (RFC 7396) to the state. {_WAITS}",
    parameters=_CONDITIONS,
    errors=_WRITES,
    headers=(ETAG,),
    examples=(
        ApiExample(
            "changed",
            "One key removed, one replaced, if nothing was saved since version 1",
            parameters={"If-Match": '"1"'},
            body={"state": {"draft": None, "count": 3}},
            response=_COUNTED,
        ),
    ),
)

DELETE_STATE = Contract(
    Tag.SESSIONS,
    "Empty the state of a session",
    f"Makes the state an empty object, which is a new version. {_WAITS}",
    parameters=_CONDITIONS,
    errors=_WRITES,
    headers=(ETAG,),
    examples=(ApiExample("emptied", "Nothing is left", response={"state": {}, "version": 3}),),
)

GET_STATE_KEY = Contract(
    Tag.SESSIONS,
    "Read a key of the state",
    "Returns the value of one key. The ETag is the version of the whole state. A key with a slash is read with the "
    "whole state.",
    parameters=_CONDITIONS,
    errors=(*_READS, StateKeyNotFound),
    headers=(ETAG,),
    examples=(ApiExample("counted", "The counter", response={"value": 3, "version": 2}),),
)

PUT_STATE_KEY = Contract(
    Tag.SESSIONS,
    "Replace a key of the state",
    f"Replaces the value of one key, and keeps the others. {_WAITS}",
    parameters=_CONDITIONS,
    errors=_WRITES,
    headers=(ETAG,),
    examples=(ApiExample("counted", "Another count", body={"value": 3}, response={"value": 3, "version": 2}),),
)

DELETE_STATE_KEY = Contract(
    Tag.SESSIONS,
    "Remove a key of the state",
    f"Removes one key, and returns the rest. {_WAITS}",
    parameters=_CONDITIONS,
    errors=(*_WRITES, StateKeyNotFound),
    headers=(ETAG,),
    examples=(ApiExample("removed", "The counter is gone", response={"state": {}, "version": 3}),),
)
