"""Categories of failure; concrete errors sit beside the rule that raises them."""

from collections.abc import Mapping
from typing import ClassVar

from attrs import define, field, frozen


class DomainError(Exception):
    """What a caller can be told: a code, a message that says what to do, and details."""

    code: ClassVar[str]

    @property
    def message(self) -> str:
        """Say in one sentence what is true and what to do about it."""
        raise NotImplementedError

    @property
    def details(self) -> Mapping[str, object]:
        """Facts for a program, by name."""
        return {}

    def __str__(self) -> str:
        return self.message


class Invalid(DomainError):
    """The request can never succeed as it is."""


class TooLarge(DomainError):
    """A part of the request is larger than the server takes."""


class Unauthorized(DomainError):
    """Nobody that is known here is calling."""


class Forbidden(DomainError):
    """The caller is known and may not do this."""


class LimitReached(DomainError):
    """The caller has used up what they were granted, for now; nothing was begun."""


class NotFound(DomainError):
    """There is no such thing, or not for this owner."""


class Gone(DomainError):
    """It was there and has ended."""


class Conflict(DomainError):
    """Another call got there first."""


class PreconditionFailed(DomainError):
    """The caller's condition does not hold."""


class ScriptFailed(DomainError):
    """The script ran and did not give a result."""


class Unavailable(DomainError):
    """The service cannot answer now.

    `stored` and `executed` are "no", "yes" or "unknown"; `None` where the question does not arise.
    `retry_after_ms` is set only where repeating the call is safe.
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
    """One bad field: its JSON pointer (RFC 6901; "" is the whole body) and what is wrong with it."""

    pointer: str
    message: str


@define(eq=False)
class InvalidRequest(Invalid):
    """The request does not have the form that it must have."""

    code: ClassVar[str] = "INVALID_REQUEST"
    problems: tuple[Problem, ...] = field(converter=tuple)

    @property
    def message(self) -> str:
        found = "; ".join(f"{p.pointer or 'body'}: {p.message}" for p in self.problems)
        return f"The request is not valid. Correct it and send it again. {found}"

    @property
    def details(self) -> Mapping[str, object]:
        return {"problems": [{"pointer": p.pointer, "message": p.message} for p in self.problems]}


@define(eq=False)
class FieldTooLarge(TooLarge):
    """A field, or the whole body, is over its size. Sizes are in bytes of UTF-8."""

    code: ClassVar[str] = "PAYLOAD_TOO_LARGE"
    pointer: str
    size_max: int
    size: int | None = None

    @property
    def message(self) -> str:
        what = self.pointer or "the body"
        return f"{what} is larger than the {self.size_max} bytes that are allowed. Send less."

    @property
    def details(self) -> Mapping[str, object]:
        return {"pointer": self.pointer, "limit": self.size_max, "observed": self.size}


@define(eq=False)
class StorageUnavailable(Unavailable):
    """PostgreSQL did not answer in time, or not at all."""

    code: ClassVar[str] = "STORAGE_UNAVAILABLE"
    stored: str | None = None
    executed: str | None = None
    retry_after_ms: int | None = 1000

    @property
    def message(self) -> str:
        if self.stored == "unknown" and self.retry_after_ms is None:
            return (
                "The database did not confirm the write: it may or may not be stored. Read the state before repeating."
            )
        return "The database cannot be reached in time. Repeat the call after a moment."


@define(eq=False)
class Overloaded(Unavailable):
    """A bounded queue is full, or the wait in it has reached its limit. Nothing was begun."""

    code: ClassVar[str] = "OVERLOADED"
    queue: str
    stored: str | None = "no"
    executed: str | None = "no"
    retry_after_ms: int | None = 1000

    @property
    def message(self) -> str:
        return f"Too many calls are waiting for {self.queue}. Repeat the call after a moment."


_QUOTA_MESSAGES: Mapping[str, str] = {
    "live_sessions": "You have {observed} live sessions, and the quota is {allowed}. Close a session, or wait until "
    "one expires.",
    "stored_bytes": "Your sessions take {observed} bytes, and the quota is {allowed}. Close a session; an expired one "
    "counts until it is removed.",
    "concurrent_calls": "You have {observed} calls in progress{where}, and the quota is {allowed}. Wait until one of "
    "them ends.",
    "fair_share": "You have {observed} calls in progress{where}, which is your fair share of a busy server. Wait until "
    "one of them ends.",
}


@define(eq=False)
class QuotaReached(LimitReached):
    """The owner has reached a quota, and nothing was started.

    `limit` is `live_sessions`, `stored_bytes`, `concurrent_calls` or `fair_share`; `where` names the capacity limiter
    of the last two. `observed` is what the owner has.
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
    """No sandbox or runtime host can run this language now. Nothing was begun."""

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
    """This process takes no new work."""

    code: ClassVar[str] = "SHUTTING_DOWN"
    stored: str | None = "no"
    executed: str | None = "no"
    retry_after_ms: int | None = 1000

    @property
    def message(self) -> str:
        return "This server is shutting down. Repeat the call; another one will take it."
