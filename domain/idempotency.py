"""Idempotency keys: names that callers give to calls, so that none of them takes effect twice."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar, Generic, TypeVar
from uuid import UUID

from attrs import define, field, frozen

from domain.errors import Conflict

KEPT_FOR = timedelta(hours=24)
"""How long a key is remembered, from the call that took it."""

NO_SESSION = UUID(int=0)
"""Stands for the session among the keys of calls that make one."""

_RETRY_MIN = timedelta(seconds=1)
_RETRY_MAX = timedelta(seconds=10)
_MILLISECOND = timedelta(milliseconds=1)

Answer = TypeVar("Answer")


@frozen
class IdempotencyKey:
    """A caller's name for a call, and the SHA-256 (64 hexadecimal digits) of what it was sent with."""

    value: str
    payload_hash: str = field(repr=False)


@define(eq=False)
class IdempotencyConflict(Conflict):
    """The key stands for a call with another payload."""

    code: ClassVar[str] = "IDEMPOTENCY_CONFLICT"

    @property
    def message(self) -> str:
        return (
            "This Idempotency-Key was used for a call with another payload, so nothing was done. "
            "Repeat that call exactly, or use a new key for a new one."
        )


@define(eq=False)
class KeyInFlight(Conflict):
    """The call that took the key has not ended."""

    code: ClassVar[str] = "CONFLICT"
    retry_after_ms: int = 1000

    @property
    def message(self) -> str:
        return "The first call with this Idempotency-Key is under way. Repeat the call after a moment for its answer."

    @property
    def details(self) -> Mapping[str, object]:
        return {"retry_after_ms": self.retry_after_ms}


@define(eq=False)
class KeyInterrupted(Conflict):
    """The call that took the key was interrupted: its script may have run, and will not run again."""

    code: ClassVar[str] = "CONFLICT"
    execution_id: UUID

    @property
    def message(self) -> str:
        return (
            "The first call with this Idempotency-Key was interrupted: its script may have run, and how it ended is "
            "not known. It does not run again under this key; use a new one only if the script may run twice."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {"executed": "unknown", "execution_id": self.execution_id}


@frozen
class KeptCall(Generic[Answer]):
    """What is kept under a key: the payload's hash, the id that the winning call made, and its answer once it ended."""

    payload_hash: str = field(repr=False)
    winner: UUID
    deadline_at: datetime
    expires_at: datetime
    answer: Answer | None = field(default=None, repr=False)

    def is_over(self, now: datetime) -> bool:
        """Whether the key is free again."""
        return now >= self.expires_at

    def replay(self, idempotency_key: IdempotencyKey, now: datetime) -> Answer:
        """Return the answer to a call that repeats this one.

        Raises IdempotencyConflict for another payload, KeyInFlight until the deadline, KeyInterrupted from then on.
        """
        if idempotency_key.payload_hash != self.payload_hash:
            raise IdempotencyConflict
        if self.answer is not None:
            return self.answer
        if now < self.deadline_at:
            raise KeyInFlight(self._retry_after_ms(now))
        raise KeyInterrupted(self.winner)

    def _retry_after_ms(self, now: datetime) -> int:
        """Return as long again as the call has been under way, within bounds, and no longer than to its deadline.

        So a call that ends soon is not waited for long, and one that was interrupted is not asked for every second.
        """
        under_way = now - (self.expires_at - KEPT_FOR)
        wait = min(max(under_way, _RETRY_MIN), _RETRY_MAX, self.deadline_at - now)
        return -(-wait // _MILLISECOND)
