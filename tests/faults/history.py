"""A recorded history of calls, and whether one truth explains it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum

from attrs import field, frozen

INITIALIZE, EXECUTE, GET, PATCH, DELETE = "initialize", "execute", "get", "patch", "delete"


class Outcome(Enum):
    """What became of a call's effect, as its response says."""

    DONE = "done"
    NOT_DONE = "not done"
    UNKNOWN = "unknown"


@frozen
class Response:
    """What a caller got; `count` and `mark` are what the response shows of the session."""

    status: int
    code: str | None = None
    details: Mapping[str, object] = field(factory=dict)
    retry_after: str | None = None
    count: int | None = None
    mark: int | None = None


@frozen
class Call:
    """One call; `request_id` is None until it is known, `response` is None when the caller got none.

    `mark` is the value, unique in the history, that the call writes into the context. `gave_up` says that the caller
    did not wait for the response.
    """

    operation: str
    session_id: str | None
    began_s: float
    ended_s: float
    budget_s: float
    response: Response | None
    mark: int | None = None
    gave_up: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether the response is a success."""
        return self.response is not None and self.response.status < 300

    @property
    def failed(self) -> bool:
        """Whether the service failed a caller who waited."""
        return not self.gave_up if self.response is None else self.response.status >= 500

    @property
    def outcome(self) -> Outcome:
        """What the caller knows of the effect."""
        if self.response is None:
            return Outcome.UNKNOWN
        if self.succeeded or self.response.status == 422:
            return Outcome.DONE
        details = self.response.details
        if self.operation == EXECUTE:
            counted = details.get("stored") != "no" and details.get("executed") != "no"
            return Outcome.UNKNOWN if self.response.status == 503 and counted else Outcome.NOT_DONE
        return Outcome.UNKNOWN if details.get("stored") == "unknown" else Outcome.NOT_DONE

    @property
    def ran(self) -> bool:
        """Whether the response says that the script has run, and that this is or will be recorded."""
        if self.operation != EXECUTE or self.response is None:
            return False
        details = self.response.details
        reported = details.get("executed") == "yes" and details.get("stored") != "no"
        return self.outcome is Outcome.DONE or reported

    @property
    def over_budget_s(self) -> float:
        """Seconds beyond the budget; negative within it."""
        return self.ended_s - self.began_s - self.budget_s


@frozen
class Stored:
    """A session as the database has it in the end."""

    count: int
    closed: bool
    mark: int | None


def problems(calls: Sequence[Call], stored: Mapping[str, Stored], slack_s: float, errors: frozenset[str]) -> list[str]:
    """Return what no single truth explains, or what breaks a promise; `errors` are the codes that may be seen."""
    by_session: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        if call.session_id is not None:
            by_session[call.session_id].append(call)
    found = [problem for call in calls for problem in _of_response(call, slack_s, errors)]
    found += _of_creation(calls, stored)
    for session_id, its_calls in by_session.items():
        found += [f"{session_id}: {problem}" for problem in _of_session(its_calls, stored.get(session_id))]
    return found


def unrecorded(calls: Sequence[Call], stored: Mapping[str, Stored]) -> list[str]:
    """Return the sessions that miss an execution whose end was to be recorded in the background."""
    ran = Counter(call.session_id for call in calls if call.session_id is not None and call.ran)
    return [
        f"{session_id}: {times} executions have run, and {stored[session_id].count} are counted"
        for session_id, times in ran.items()
        if session_id in stored and stored[session_id].count < times
    ]


def _of_response(call: Call, slack_s: float, errors: frozenset[str]) -> Iterator[str]:
    if call.over_budget_s > slack_s:
        yield f"{call.operation} was answered {call.over_budget_s:.2f} s beyond its budget"
    response = call.response
    if response is None or call.succeeded:
        return
    said = f"{call.operation} was answered {response.status} {response.code} {dict(response.details)}"
    if response.code not in errors:
        yield f"{said}: not an error that may be seen here"
    elif response.status == 503:
        yield from (f"{said}: {wrong}" for wrong in _of_unavailable(call, response))


def _of_unavailable(call: Call, response: Response) -> Iterator[str]:
    details = response.details
    stored, executed = details.get("stored"), details.get("executed")
    unsure = stored == "unknown" or executed in {"yes", "unknown"}
    if unsure == ("retry_after_ms" in details):
        yield "repeating is advised exactly where it is safe"
    if (response.retry_after is not None) != ("retry_after_ms" in details):
        yield "header and details differ on repeating"
    if call.operation == EXECUTE:
        yield from _of_unavailable_execution(stored, executed, "execution_id" in details)
    elif call.operation == GET and unsure:
        yield "a read has nothing stored or executed"
    elif call.operation != GET and stored not in {"no", "unknown"}:
        yield "does not say whether it is stored"


def _of_unavailable_execution(stored: object, executed: object, named: bool) -> Iterator[str]:
    if executed not in {"no", "yes", "unknown"} or stored not in {"no", "unknown"}:
        yield "does not say whether it was executed and stored"
    if executed == "no" and stored != "no":
        yield "what was not executed is not stored"
    if executed != "no" and stored == "unknown" and not named:
        yield "does not say which execution"


def _of_creation(calls: Sequence[Call], stored: Mapping[str, Stored]) -> Iterator[str]:
    made = [call for call in calls if call.operation == INITIALIZE]
    outcomes = Counter(call.outcome for call in made)
    most = outcomes[Outcome.DONE] + outcomes[Outcome.UNKNOWN]
    if len(stored) > most:
        yield f"{len(stored)} sessions are stored, where at most {most} can be"


def _of_session(calls: Sequence[Call], stored: Stored | None) -> Iterator[str]:
    if stored is None:
        yield "acknowledged, and lost"
        return
    yield from _of_life(calls, stored)
    yield from _of_counts(calls, stored)
    yield from _of_marks(calls, stored)


def _of_life(calls: Sequence[Call], stored: Stored) -> Iterator[str]:
    """Found from its acknowledgement on; closed from a close on, and never before one was asked for."""
    deletes = [call for call in calls if call.operation == DELETE and call.outcome is not Outcome.NOT_DONE]
    asked_s = min((call.began_s for call in deletes), default=float("inf"))
    known_closed_s = min((call.ended_s for call in calls if _shows_closed(call)), default=float("inf"))
    for call in calls:
        status = call.response.status if call.response else None
        if status == 404:
            yield f"{call.operation} did not find an acknowledged session"
        if status == 410 and call.ended_s < asked_s:
            yield f"{call.operation} found it gone before anybody closed it"
        if call.succeeded and call.operation != DELETE and call.began_s > known_closed_s:
            yield f"{call.operation} succeeded on a session that was closed"
    if stored.closed and asked_s == float("inf"):
        yield "it is closed, and no call closed it"
    if not stored.closed and known_closed_s < float("inf"):
        yield "it is open again"


def _shows_closed(call: Call) -> bool:
    if call.response is None:
        return False
    return call.response.status == 410 or (call.operation == DELETE and call.succeeded)


def _of_counts(calls: Sequence[Call], stored: Stored) -> Iterator[str]:
    executions = [call for call in calls if call.operation == EXECUTE and call.outcome is not Outcome.NOT_DONE]
    succeeded = [call for call in executions if call.succeeded]
    counts = Counter(call.response.count for call in succeeded if call.response)
    yield from (f"count {count} was reported {times} times" for count, times in counts.items() if times > 1)
    sure = sum(call.outcome is Outcome.DONE for call in executions)
    if not sure <= stored.count <= len(executions):
        yield f"{stored.count} executions are counted, where {sure} to {len(executions)} can be"
    for call in calls:
        if call.succeeded and call.response is not None and call.response.count is not None:
            least = sum(other.outcome is Outcome.DONE and other.ended_s < call.began_s for other in executions)
            most = sum(other.began_s < call.ended_s for other in executions)
            least += call.operation == EXECUTE
            if not least <= call.response.count <= min(most, stored.count):
                yield f"{call.operation} reported count {call.response.count}, where {least} to {most} can be"


def _of_marks(calls: Sequence[Call], stored: Stored) -> Iterator[str]:
    """A mark that is seen was written before, and no acknowledged write came wholly between."""
    writes = {call.mark: call for call in calls if call.mark is not None and call.outcome is not Outcome.NOT_DONE}
    sure = [call for call in writes.values() if call.outcome is Outcome.DONE]
    seen = [
        (call.response.mark, call.began_s, call.ended_s)
        for call in calls
        if call.succeeded and call.response is not None and call.response.mark is not None
    ]
    if not stored.closed:
        seen.append((stored.mark, float("inf"), float("inf")))
    for mark, began_s, ended_s in seen:
        write = writes.get(mark)
        if write is None or write.began_s > ended_s:
            yield f"it showed {mark}, which no call had written"
        elif any(write.ended_s < other.began_s and other.ended_s < began_s for other in sure):
            yield f"it showed {mark}, which had been replaced"
