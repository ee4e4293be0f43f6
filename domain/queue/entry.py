"""Executions that are accepted now and run later: what callers may ask for."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from attrs import Attribute, define, evolve, field, frozen
from attrs.validators import ge, le

from domain.clock import Jitter
from domain.errors import Conflict, Invalid
from domain.executions.execution import OpenExecution
from domain.files.asked import AskedFiles
from domain.idempotency import IdempotencyKey
from domain.identity import Owner, SessionRef, uuid7_time
from domain.json_text import JsonText
from domain.scripts.language import Language
from domain.scripts.report import FailureCode

PRIORITY_MAX_S = 3600
DELAY_MAX = timedelta(days=30)
EXPIRES_IN_DEFAULT = timedelta(hours=6)
ATTEMPTS_MAX = 10

WAIT_MAX = DELAY_MAX + timedelta(hours=12)
"""From acceptance to expiry. The history has a row of the execution by the day of acceptance, for 31 days at least."""

_BACKOFF_MIN_S = 1.0
_BACKOFF_MAX_S = 3600.0


class RetryCause(StrEnum):
    """Ends after which another attempt may be made. After `unknown` the script may run twice."""

    SCRIPT_ERROR = "script_error"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, code: FailureCode) -> "RetryCause | None":
        """Return the cause that a failure is; None if it is never retried."""
        return _CAUSES.get(code)


_CAUSES = {
    FailureCode.SCRIPT_ERROR: RetryCause.SCRIPT_ERROR,
    FailureCode.EXECUTION_TIMEOUT: RetryCause.TIMEOUT,
    FailureCode.CPU_LIMIT: RetryCause.TIMEOUT,
    FailureCode.MEMORY_LIMIT: RetryCause.MEMORY,
}


@frozen
class RetryPolicy:
    """At most `attempts_max` attempts in all, each after one of the causes."""

    attempts_max: int = field(default=1, validator=[ge(1), le(ATTEMPTS_MAX)])
    causes: frozenset[RetryCause] = frozenset()

    def pause_after(self, attempt: int, cause: RetryCause | None, jitter: Jitter) -> timedelta | None:
        """Return the pause before the attempt after number `attempt` (from 1); None if there is none.

        The longest pause doubles from 1 s to 1 h; the pause is random up to it (full jitter).
        """
        if cause not in self.causes or attempt >= self.attempts_max:
            return None
        longest_s = min(_BACKOFF_MAX_S, _BACKOFF_MIN_S * 2 ** (attempt - 1))
        return timedelta(seconds=jitter(0, longest_s))


@define(eq=False)
class ScheduleRefused(Invalid):
    """The execution could not start within its session's life, or the options contradict each other."""

    code: ClassVar[str] = "INVALID_REQUEST"
    reason: str

    @property
    def message(self) -> str:
        return f"The execution was not accepted: {self.reason}"


@define(eq=False)
class CallbackNotFound(Invalid):
    """An execution, or those of a schedule, are to report to a webhook that their owner does not have."""

    code: ClassVar[str] = "INVALID_REQUEST"
    webhook_id: UUID

    @property
    def message(self) -> str:
        return (
            f"Nothing was accepted: you have no webhook {self.webhook_id}, which callback names. "
            "GET /api/v1/webhooks lists your webhooks; or omit callback."
        )


@define(eq=False)
class ResponsesNotKept(Conflict):
    """What runs later stores its params and its response, and the service is to store none."""

    code: ClassVar[str] = "CONFLICT"

    @property
    def message(self) -> str:
        return (
            "Nothing was accepted: an execution that runs later, or on a schedule, stores its params and its response, "
            "and this server stores none (IDEMPOTENCY=off). Call execute and wait for the response, or have the "
            "operator set IDEMPOTENCY=on."
        )


@frozen
class StartWindow:
    """When an execution may start: not before `not_before`, and before `expires_at`."""

    not_before: datetime
    expires_at: datetime

    @classmethod
    def after(
        cls, accepted_at: datetime, delay: timedelta = timedelta(0), expires_in: timedelta = EXPIRES_IN_DEFAULT
    ) -> "StartWindow":
        """Return the window that opens `delay` after acceptance, for `expires_in`; raises ScheduleRefused."""
        if not timedelta(0) <= delay <= DELAY_MAX:
            raise ScheduleRefused(
                f"its delay of {delay} is not between 0 and {DELAY_MAX.days} days. Let it start then."
            )
        not_before = accepted_at + delay
        return cls(not_before, min(not_before + expires_in, accepted_at + WAIT_MAX))

    def within(self, session_expires_at: datetime) -> "StartWindow":
        """Return the window up to the end of the session; raises ScheduleRefused if it opens no earlier."""
        if self.not_before >= session_expires_at:
            raise ScheduleRefused(
                f"it would start at {self.not_before.isoformat()}, and its session expires at "
                f"{session_expires_at.isoformat()}. Let it start earlier, or use a session that lives longer."
            )
        return evolve(self, expires_at=min(self.expires_at, session_expires_at))


@frozen
class AcceptOptions:
    """What a caller asks for beside the window of the start.

    `priority_s` is a head start in seconds in the order of the queue. With `in_order`, executions of the session run
    one at a time in the order of acceptance. `webhook_id` names an endpoint that hears of the end. `files` are what the
    script finds, and what is collected.
    """

    priority_s: int = field(default=0, validator=[ge(0), le(PRIORITY_MAX_S)])
    retry: RetryPolicy = RetryPolicy()
    in_order: bool = False
    webhook_id: UUID | None = None
    files: AskedFiles | None = None


BY_DEFAULT = AcceptOptions()


def _within_the_wait(entry: "Entry", _: "Attribute[StartWindow]", window: StartWindow) -> None:
    if window.expires_at > entry.accepted_at + WAIT_MAX:
        raise ValueError(f"An entry expires at most {WAIT_MAX} after its acceptance.")


@frozen
class Entry:
    """An execution in the queue.

    `attempt` counts from 1; `retry_of` is the execution that this one repeats. `idempotency_key` is the caller's, if it
    gave one.
    """

    ref: SessionRef
    execution_id: UUID
    params: JsonText = field(repr=False)
    idempotency_key: IdempotencyKey | None
    window: StartWindow = field(validator=_within_the_wait)
    options: AcceptOptions = BY_DEFAULT
    attempt: int = 1
    retry_of: UUID | None = None
    accepted_at: datetime = field(init=False, eq=False, repr=False)
    """The instant of acceptance, which is in the execution's id."""

    @accepted_at.default
    def _time_in_id(self) -> datetime:
        return uuid7_time(self.execution_id)

    @property
    def size(self) -> int:
        """About how many bytes it takes: its params, and the files whose content is in the request."""
        files = self.options.files
        return len(self.params) + (0 if files is None else files.inline_size)

    @property
    def ready_at(self) -> datetime:
        """Where the entry stands in the order of the queue: its first possible start less its head start."""
        return self.window.not_before - timedelta(seconds=self.options.priority_s)

    def expired(self, now: datetime) -> "Entry":
        """Return the entry with an expiry at `now`, if it would expire later."""
        return evolve(self, window=evolve(self.window, expires_at=min(self.window.expires_at, now)))

    def next_attempt(self, execution_id: UUID, pause: timedelta) -> "Entry":
        """Return the next attempt after a pause, without a key and within the same expiry.

        It is not before its acceptance, which is in its id. An expiry that is earlier than its start is moved there, so
        that the attempt expires at once.
        """
        not_before = uuid7_time(execution_id) + pause
        window = StartWindow(not_before, max(not_before, self.window.expires_at))
        return evolve(
            self,
            execution_id=execution_id,
            idempotency_key=None,
            window=window,
            attempt=self.attempt + 1,
            retry_of=self.execution_id,
        )


@frozen(order=True)
class Turn:
    """An owner's entries in one language. Turns follow each other in this order, and the first one follows the last."""

    language: Language
    owner: Owner


@frozen
class Claimed:
    """An entry that was taken out of the queue and begun: from here on it is an open execution as any other.

    `claim_id` names the claim that took it; `put_back` and `unclaim` return only what their claim took.
    """

    entry: Entry
    execution: OpenExecution
    claim_id: UUID

    @property
    def turn(self) -> Turn:
        """The turn in which it was claimed."""
        return Turn(self.execution.session.language_title.language, self.entry.ref.owner)
