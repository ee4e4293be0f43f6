"""Bodies of executions that are accepted and run later."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from domain.queue import entry
from domain.queue.service import LanguageQueue
from domain.queue.state import POSITION_MAX, CancelResult, ExecutionState
from domain.queue.submission import Start
from domain.scripts.language import Language
from domain.scripts.report import ExecutionStatus
from entrypoints.http.schemas import fields

_DAY_S = 86_400

Priority = Annotated[
    int, Meta(ge=0, le=entry.PRIORITY_MAX_S, description="A head start in the queue, in seconds. It ends no delay.")
]
DelaySeconds = Annotated[int, Meta(ge=0, le=30 * _DAY_S, description="Seconds before which the script does not start.")]
RunAt = Annotated[
    datetime, Meta(tz=True, description="Instant before which the script does not start, at most 30 days from now.")
]
ExpiresIn = Annotated[
    int,
    Meta(
        ge=1,
        le=30 * _DAY_S,
        description="Seconds within which the script must start, from the delay's end; after that it never runs. The "
        "end of the session is a limit too.",
    ),
]
MaxAttempts = Annotated[int, Meta(ge=1, le=entry.ATTEMPTS_MAX, description="Attempts in all, with the first one.")]
Causes = Annotated[
    list[entry.RetryCause],
    Meta(
        min_length=1,
        max_length=len(entry.RetryCause),
        description="Ends after which another attempt is made. With unknown the script may run twice.",
    ),
]
Backoff = Annotated[
    Literal["exponential"], Meta(description="The longest pause doubles from 1 second to 1 hour; the pause is random.")
]
InOrder = Annotated[
    bool, Meta(description="Whether executions of the session run one at a time, in the order of acceptance.")
]
QueuedCount = Annotated[
    int, Meta(ge=0, description="Executions that wait, those with a delay included. About 10000 stand for more.")
]
OldestAge = Annotated[
    Annotated[float, Meta(ge=0)] | None,
    Meta(description="Seconds since the oldest execution that waits could have started; null if none waits."),
]
RunningCount = Annotated[int, Meta(ge=0, description="Executions that were accepted to run later, and run.")]
Served = Annotated[bool, Meta(description="Whether this server can run the language now.")]
Unserved = Annotated[str | None, Meta(description="Why it cannot; null if it can.")]
Callback = Annotated[UUID, Meta(description="The id of a webhook endpoint that hears of the end.")]


class RetryBody(Struct, forbid_unknown_fields=True):
    """When another attempt is made. Each is an execution of its own."""

    max_attempts: MaxAttempts
    on: Causes
    backoff: Backoff = "exponential"


class AsyncBody(Struct, forbid_unknown_fields=True):
    """How an execution is run later."""

    priority: Priority = 0
    delay_seconds: DelaySeconds | UnsetType = UNSET
    run_at: RunAt | UnsetType = UNSET
    expires_in_seconds: ExpiresIn = int(entry.EXPIRES_IN_DEFAULT.total_seconds())
    in_order: InOrder = False
    retry: RetryBody | UnsetType = UNSET
    callback: Callback | UnsetType = UNSET

    @property
    def contradicts_itself(self) -> bool:
        """Whether both a delay and an instant are given."""
        return self.delay_seconds is not UNSET and self.run_at is not UNSET

    def start(self) -> Start:
        """Return when the execution is to start."""
        delay = timedelta(seconds=0 if self.delay_seconds is UNSET else self.delay_seconds)
        run_at = None if self.run_at is UNSET else self.run_at
        return Start(delay, run_at, timedelta(seconds=self.expires_in_seconds))

    def options(self) -> entry.AcceptOptions:
        """Return how it is to be run."""
        retry = self.retry
        return entry.AcceptOptions(
            priority_s=self.priority,
            retry=entry.RetryPolicy(retry.max_attempts, frozenset(retry.on)) if retry else entry.RetryPolicy(),
            in_order=self.in_order,
            webhook_id=None if self.callback is UNSET else self.callback,
        )


Status = Annotated[
    ExecutionStatus,
    Meta(
        description="queued, running, or how it ended: succeeded, failed, cancelled, expired (it did not start in "
        "time), unknown (its end could not be recorded)."
    ),
]
KnownTitle = Annotated[
    fields.Title | None, Meta(description="The language-title of the session; null if its caller waited for it.")
]
Attempt = Annotated[int, Meta(ge=1, description="The number of the attempt, from 1.")]
RetryOf = Annotated[UUID | None, Meta(description="The execution that this one repeats; null for a first attempt.")]
NextAttempt = Annotated[UUID | None, Meta(description="The execution that repeats this one; null if there is none.")]
AcceptedAt = Annotated[datetime, Meta(tz=True, description="When the execution was accepted.")]
StartsAt = Annotated[
    fields.Instant | None,
    Meta(description="The instant before which it does not start; null if its caller waited for it."),
]
ExpiresAt = Annotated[
    fields.Instant | None,
    Meta(description="The instant from which it does not start any more; null if its caller waited for it."),
]
Position = Annotated[
    Annotated[int, Meta(ge=0, le=POSITION_MAX)] | None,
    Meta(
        description="About how many executions of the caller in this language come first, at most 1000; null if it is "
        "not queued.",
    ),
]
CancelRequested = Annotated[bool, Meta(description="Whether a running execution is being stopped.")]
KeptUntil = Annotated[
    fields.Instant | None,
    Meta(description="Until when the whole result is kept; null if it is not kept, or its caller waited for it."),
]
StatusCode = Annotated[
    int | None, Meta(description="The HTTP status that a waiting caller would have got; null before the end.")
]
CancelStatus = Annotated[
    str, Meta(description="cancelled, cancelling for one that is being stopped, or how the execution had ended before.")
]
CancelExecuted = Annotated[
    Literal["no", "partly", "yes", "unknown"], Meta(description="Whether the script ran: partly if it is stopped.")
]


class AcceptedResponse(Struct):
    """An execution that was accepted, or one that an earlier call with the same key had accepted."""

    execution_id: fields.ExecutionId
    request_id: fields.RequestId
    status: Status
    attempt: Attempt
    accepted_at: AcceptedAt
    starts_at: StartsAt
    expires_at: ExpiresAt
    position: Position

    @classmethod
    def of(cls, accepted: entry.Entry | ExecutionState) -> "AcceptedResponse":
        """Return the body for an execution that was accepted, or that is under way."""
        state = accepted if isinstance(accepted, ExecutionState) else None
        window = accepted.window
        return cls(
            execution_id=accepted.execution_id,
            request_id=accepted.ref.session_id,
            status=ExecutionStatus.QUEUED if state is None else state.status,
            attempt=accepted.attempt,
            accepted_at=accepted.accepted_at,
            starts_at=None if window is None else window.not_before,
            expires_at=None if window is None else window.expires_at,
            position=None if state is None else state.position,
        )


class CancelResponse(Struct):
    """What a cancel found."""

    execution_id: fields.ExecutionId
    status: CancelStatus
    executed: CancelExecuted

    @classmethod
    def of(cls, result: CancelResult, state: ExecutionState) -> "CancelResponse":
        """Return the body for a cancel."""
        if result is CancelResult.CANCELLING:
            return cls(state.execution_id, "cancelling", "partly")
        never_began = state.status is ExecutionStatus.CANCELLED and state.execution_count is None
        return cls(state.execution_id, state.status.value, "no" if never_began else _EXECUTED[state.status])


_EXECUTED: Mapping[ExecutionStatus, Literal["no", "partly", "yes", "unknown"]] = {
    ExecutionStatus.SUCCEEDED: "yes",
    ExecutionStatus.FAILED: "yes",
    ExecutionStatus.CANCELLED: "partly",
    ExecutionStatus.EXPIRED: "no",
    ExecutionStatus.UNKNOWN: "unknown",
}


class ListedExecution(Struct):
    """An execution that was accepted to run later, without its result."""

    execution_id: fields.ExecutionId
    request_id: fields.RequestId
    language_title: fields.Title
    status: Status
    attempt: Attempt
    retry_of: RetryOf
    next_attempt: NextAttempt
    accepted_at: AcceptedAt
    starts_at: StartsAt
    expires_at: ExpiresAt
    cancel_requested: CancelRequested
    execution_count: fields.CountThen
    result_kept_until: KeptUntil

    @classmethod
    def of(cls, state: ExecutionState) -> "ListedExecution":
        """Return the row of a list."""
        window = state.window
        return cls(
            execution_id=state.execution_id,
            request_id=state.ref.session_id,
            language_title=str(state.language_title),
            status=state.status,
            attempt=state.attempt,
            retry_of=state.retry_of,
            next_attempt=state.next_attempt,
            accepted_at=state.accepted_at,
            starts_at=None if window is None else window.not_before,
            expires_at=None if window is None else window.expires_at,
            cancel_requested=state.cancel_requested,
            execution_count=state.execution_count,
            result_kept_until=state.kept_until,
        )


class ListedExecutions(Struct):
    """A page of executions that were accepted to run later; `next_cursor` is null on the last page."""

    executions: fields.Executions[ListedExecution]
    next_cursor: fields.NextCursor


class QueuedLanguage(Struct):
    """The queue in one language."""

    language: Language
    queued: QueuedCount
    oldest_age_seconds: OldestAge
    running: RunningCount
    served: Served
    reason: Unserved

    @classmethod
    def of(cls, queue: LanguageQueue) -> "QueuedLanguage":
        """Return the body for the queue in one language."""
        facts, age = queue.facts, queue.oldest_age
        return cls(
            language=facts.language,
            queued=facts.queued,
            oldest_age_seconds=None if age is None else age.total_seconds(),
            running=facts.running,
            served=queue.unserved is None,
            reason=queue.unserved,
        )


class QueueResponse(Struct):
    """The queue of the caller; of all owners for an admin."""

    queued: QueuedCount
    oldest_age_seconds: OldestAge
    running: RunningCount
    languages: Annotated[list[QueuedLanguage], Meta(description="The queue by language.")]

    @classmethod
    def of(cls, languages: Sequence[LanguageQueue]) -> "QueueResponse":
        """Return the body for the queue by language."""
        rows = [QueuedLanguage.of(each) for each in languages]
        ages = [row.oldest_age_seconds for row in rows if row.oldest_age_seconds is not None]
        return cls(
            queued=sum(row.queued for row in rows),
            oldest_age_seconds=max(ages, default=None),
            running=sum(row.running for row in rows),
            languages=rows,
        )
