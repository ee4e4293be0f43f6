"""Categories of errors, and the errors that several rules raise; others are defined beside their rule."""

from collections.abc import Mapping
from typing import ClassVar

from attrs import define, field, frozen

from domain.storage.faults import StorageFault


class DomainError(Exception):
    """An error for the caller: a code, a message with advice, and details."""

    code: ClassVar[str]

    @property
    def message(self) -> str:
        """What happened, why, and what to do next."""
        raise NotImplementedError

    @property
    def details(self) -> Mapping[str, object]:
        """Facts for programs, by name."""
        return {}

    def __str__(self) -> str:
        return self.message


class Invalid(DomainError):
    """The request cannot succeed as it is."""


class TooLarge(DomainError):
    """A part of the request is larger than the server accepts."""


class Unauthorized(DomainError):
    """The caller is unknown."""


class Forbidden(DomainError):
    """The caller is known, and may not make this call."""


class LimitReached(DomainError):
    """The caller has reached a limit for now; nothing was started."""


class NotFound(DomainError):
    """The object does not exist, or belongs to another owner."""


class Gone(DomainError):
    """The object existed and has ended."""


class Conflict(DomainError):
    """Another call was faster."""


class PreconditionFailed(DomainError):
    """A condition of the request does not hold."""


class ScriptFailed(DomainError):
    """The script ran and gave no result."""


class Unavailable(DomainError):
    """The service cannot serve the call now.

    `stored` and `executed` are "no", "yes" or "unknown"; None if the call neither stores nor executes anything.
    `retry_after_ms` is set only if repeating the call is safe.
    """

    stored: str | None = None
    executed: str | None = None
    retry_after_ms: int | None = None

    @property
    def details(self) -> Mapping[str, object]:
        facts = {
            "stored": self.stored,
            "executed": self.executed,
            "retry_after_ms": self.retry_after_ms,
        }
        return {name: fact for name, fact in facts.items() if fact is not None}


@frozen
class Problem:
    """A fault in a request: a JSON pointer to the field (RFC 6901; "" is the whole body), and a text."""

    pointer: str
    message: str


@define(eq=False)
class InvalidRequest(Invalid):
    """The request does not have the required form."""

    code: ClassVar[str] = "INVALID_REQUEST"
    problems: tuple[Problem, ...] = field(converter=tuple)

    @property
    def message(self) -> str:
        found = "; ".join(f"{p.pointer}: {p.message}" if p.pointer else f"The body {p.message}" for p in self.problems)
        return f"The request is not valid. Correct it and send it again. {found}"

    @property
    def details(self) -> Mapping[str, object]:
        return {"problems": [{"pointer": p.pointer, "message": p.message} for p in self.problems]}


@define(eq=False)
class FieldTooLarge(TooLarge):
    """A field, or the whole body, is too large. Sizes are in bytes of UTF-8."""

    code: ClassVar[str] = "PAYLOAD_TOO_LARGE"
    pointer: str
    size_max: int
    size: int | None = None

    @property
    def message(self) -> str:
        what = self.pointer or "The body"
        return f"{what} is larger than the allowed {self.size_max} bytes, so nothing was done. Send less."

    @property
    def details(self) -> Mapping[str, object]:
        return {"pointer": self.pointer, "limit": self.size_max, "observed": self.size}


@define(eq=False)
class StorageUnavailable(Unavailable):
    """PostgreSQL did not respond in time, or does not serve because of a `fault`.

    `bucket` is the part of a distributed database that does not serve; others may.
    """

    code: ClassVar[str] = "STORAGE_UNAVAILABLE"
    stored: str | None = None
    executed: str | None = None
    retry_after_ms: int | None = 1000
    fault: StorageFault | None = None
    bucket: int | None = None

    @classmethod
    def of(
        cls, fault: StorageFault | None, *, stored: str | None = None, executed: str | None = None
    ) -> "StorageUnavailable":
        """Return the error of a fault; the call may be repeated."""
        return StorageUnavailable(stored, executed, 1000 if fault is None else fault.retry_after_ms, fault)

    @property
    def message(self) -> str:
        if self.stored == "unknown" and self.retry_after_ms is None:
            return (
                "The database did not confirm the write, which may or may not be stored. Read the state before you "
                "repeat the call."
            )
        return (
            "The database did not respond in time. Repeat the call after a moment."
            if not self.fault
            else (self.fault.message)
        )

    @property
    def details(self) -> Mapping[str, object]:
        reason = {} if self.fault is None else {"reason": self.fault.value}
        bucket = {} if self.bucket is None else {"bucket": self.bucket}
        return {**super().details, **reason, **bucket}

    def restated(self, *, stored: str | None, executed: str | None = None) -> "StorageUnavailable":
        """Return this error of a part of a call as that of the whole, which may be repeated."""
        whole = StorageUnavailable.of(self.fault, stored=stored, executed=executed)
        whole.retry_after_ms, whole.bucket = self.retry_after_ms or whole.retry_after_ms, self.bucket
        return whole


def commit_unknown() -> StorageUnavailable:
    """Return the error of a write whose commit was not confirmed in time: it may be stored, or stored later."""
    return StorageUnavailable(stored="unknown", retry_after_ms=None)


@define(eq=False)
class Overloaded(Unavailable):
    """A bounded queue is full, or the wait in it was too long. Nothing was started.

    `waited_s` is the time that the call waited if that was QUEUE_TIMEOUT_MS.
    """

    code: ClassVar[str] = "OVERLOADED"
    queue: str
    waited_s: float | None = None
    stored: str | None = "no"
    executed: str | None = "no"
    retry_after_ms: int | None = 1000

    @property
    def message(self) -> str:
        if self.waited_s is None:
            cause = f"Too many calls are waiting for {self.queue}, so this call was not started."
        else:
            cause = (
                f"This call waited {self.waited_s:g} s for {self.queue}, until QUEUE_TIMEOUT_MS, and was not started."
            )
        return f"{cause} Repeat it after a moment."


_QUOTA_MESSAGES: Mapping[str, str] = {
    "live_sessions": "You have {observed} live sessions, and the quota is {allowed}. Close a session, or wait until "
    "one expires.",
    "stored_bytes": "You have stored {observed} bytes, and the quota is {allowed}. Close a session, or delete "
    "executions that have run later; what has expired counts until it is removed.",
    "stored_file_bytes": "Your files take {observed} bytes with this one, each at least 64 KiB, and the quota is "
    "{allowed}. Delete a file, or wait until one expires.",
    "functions": "There are {observed} functions of this owner, and the quota is {allowed}. Replace one, or delete "
    "one.",
    "function_bytes": "The functions of this owner take {observed} bytes with their versions, and the quota is "
    "{allowed}. Register a smaller one, or delete a function, which frees all its versions.",
    "webhooks": "You have {observed} webhooks, and the limit is {allowed}. Delete one, or change one.",
    "environments": "There are {observed} versions of environments, and the limit is {allowed}. Retire those "
    "that no session uses, and create this one after their removal.",
    "concurrent_calls": "You have {observed} calls in progress{where}, and the quota is {allowed}. Wait until one of "
    "them ends.",
    "queued_executions": "You have {observed} queued executions, and the quota is {allowed}. Wait until some have run, "
    "or cancel some.",
    "secrets": "You have {observed} secrets, and the quota is {allowed}. Delete one, or replace one.",
    "schedules": "You have {observed} schedules, and the quota is {allowed}. Delete one, or change one.",
    "fair_share": "You have {observed} calls in progress{where}, which is your fair share of a busy server. Wait until "
    "one of them ends.",
}


@define(eq=False)
class QuotaReached(LimitReached):
    """The owner has reached a quota, and nothing was started.

    `limit` is `live_sessions`, `stored_bytes`, `stored_file_bytes`, `functions`, `function_bytes`, `webhooks`,
    `schedules`, `environments`, `secrets`, `queued_executions`, `concurrent_calls` or `fair_share`; `where` names the
    capacity limiter of the last two. `observed` is what the owner has.
    """

    code: ClassVar[str] = "RATE_LIMITED"
    limit: str
    allowed: int
    observed: int
    where: str = ""
    retry_after_ms: int | None = None

    @property
    def message(self) -> str:
        where = f" ({self.where})" if self.where else ""
        return _QUOTA_MESSAGES[self.limit].format(observed=self.observed, allowed=self.allowed, where=where)

    @property
    def details(self) -> Mapping[str, object]:
        facts = {"limit": self.limit, "allowed": self.allowed, "observed": self.observed}
        return facts if self.retry_after_ms is None else facts | {"retry_after_ms": self.retry_after_ms}


@define(eq=False)
class RuntimeUnavailable(Unavailable):
    """No sandbox or runtime host can run this language now. Nothing was started."""

    code: ClassVar[str] = "RUNTIME_UNAVAILABLE"
    language: str
    remedy: str
    stored: str | None = "no"
    executed: str | None = "no"
    retry_after_ms: int | None = 1000

    @property
    def message(self) -> str:
        return f"Scripts in {self.language} cannot run now: {self.remedy}"


@define(eq=False)
class ShuttingDown(Unavailable):
    """This process accepts no new calls."""

    code: ClassVar[str] = "SHUTTING_DOWN"
    stored: str | None = "no"
    executed: str | None = "no"
    retry_after_ms: int | None = 1000

    @property
    def message(self) -> str:
        return "This server is shutting down and accepts no new calls. Repeat the call at another server."
