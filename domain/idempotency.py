"""Idempotency keys: a call that is repeated with its key takes effect once."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar, Generic, TypeVar
from uuid import UUID

from attrs import define, field, frozen

from domain.errors import Conflict, StorageUnavailable
from domain.identity import NO_ID, uuid7_time

KEY_SIZE_MAX = 255
KEY_PATTERN = f"^[!-~](?:[ -~]{{0,{KEY_SIZE_MAX - 2}}}[!-~])?$"
"""The form of a key: printable ASCII characters, without a space at its ends, which a header cannot have."""

KEPT_FOR = timedelta(hours=24)
"""How long a key is kept, from the call that took it."""

NO_SESSION = NO_ID
"""Stands in place of the session in keys of initialize."""

_RETRY_MIN = timedelta(seconds=1)
_RETRY_MAX = timedelta(seconds=10)
_MILLISECOND = timedelta(milliseconds=1)

Response = TypeVar("Response")


@frozen
class IdempotencyKey:
    """A caller's name for a call, and the SHA-256 (64 hexadecimal digits) of the call's payload."""

    value: str
    payload_hash: str = field(repr=False)

    def require_payload(self, payload_hash: str, session_id: UUID | None) -> None:
        """Raise IdempotencyConflict unless the call that has the key had the same payload."""
        if self.payload_hash != payload_hash:
            raise IdempotencyConflict(self.value, session_id)


@define(eq=False)
class Repeatable:
    """A block whose caller may repeat a write that was not confirmed, if the call has a key."""

    _key: IdempotencyKey | None

    def __enter__(self) -> None:
        return

    def __exit__(self, _: object, error: BaseException | None, trace: object) -> None:
        if self._key is not None and isinstance(error, StorageUnavailable):
            raise error.restated(stored=error.stored) from error


@define(eq=False)
class KeyTaken(Conflict):
    """An earlier call has the key. `session_id` is the session that it was for, or that it made; None if not known."""

    code: ClassVar[str] = "CONFLICT"
    key: str
    session_id: UUID | None

    @property
    def details(self) -> Mapping[str, object]:
        session = {} if self.session_id is None else {"request_id": self.session_id}
        return {"idempotency_key": self.key, **session}


@define(eq=False)
class IdempotencyConflict(KeyTaken):
    """The key was used for a call with another payload."""

    code: ClassVar[str] = "IDEMPOTENCY_CONFLICT"

    @property
    def message(self) -> str:
        return (
            "This Idempotency-Key was used for a call with another payload, so nothing was done. Repeat that call "
            "exactly, or use a new key for a new call."
        )


@define(eq=False)
class KeyInFlight(KeyTaken):
    """The call that took the key has not ended; `execution_id` is its execution, if it is one and known."""

    retry_after_ms: int = 1000
    execution_id: UUID | None = None

    @property
    def message(self) -> str:
        state = "" if self.execution_id is None else f" GET /api/v1/executions/{self.execution_id} reads its state."
        return (
            "The first call with this Idempotency-Key has not ended, so nothing was done. Repeat the call after "
            f"details.retry_after_ms to get its response.{state}"
        )

    @property
    def details(self) -> Mapping[str, object]:
        execution = {} if self.execution_id is None else {"execution_id": self.execution_id}
        return {**super().details, **execution, "retry_after_ms": self.retry_after_ms}


@define(eq=False)
class KeyInterrupted(KeyTaken):
    """The call that took the key was interrupted: its script may have run, and no call under this key runs it again."""

    execution_id: UUID

    @property
    def message(self) -> str:
        return (
            "The first call with this Idempotency-Key was interrupted: its script may have run, and its end is "
            "unknown. Repeating the call with this key does not run the script again. Use a new key only if the script "
            "may run twice."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {**super().details, "executed": "unknown", "execution_id": self.execution_id}


@define(eq=False)
class KeyErased(KeyTaken):
    """The response of the call that took the key was erased."""

    @property
    def message(self) -> str:
        return (
            "The first call with this Idempotency-Key has ended, and its response was erased, so nothing was done. Use "
            "a new key for a new call."
        )


@frozen
class KeptCall(Generic[Response]):
    """The call that holds a key.

    `session_id` is the session that the call was for, or that it made. `winner` is the id that the call made.
    `response` is None until the call has ended, and when it `is_erased`. `ready_at` is there if the call runs later:
    when it may start, or up to an hour before that.
    """

    session_id: UUID
    payload_hash: str = field(repr=False)
    winner: UUID
    deadline_at: datetime
    expires_at: datetime
    response: Response | None = field(default=None, repr=False)
    is_erased: bool = False
    ready_at: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        """Return whether the key is free again."""
        return now >= self.expires_at

    def replay(self, idempotency_key: IdempotencyKey, now: datetime) -> Response:
        """Return the response to a repeated call.

        Raises IdempotencyConflict for another payload, KeyErased, KeyInFlight until the deadline, KeyInterrupted after.
        """
        idempotency_key.require_payload(self.payload_hash, self.session_id)
        if self.is_erased:
            raise KeyErased(idempotency_key.value, self.session_id)
        if self.response is not None:
            return self.response
        if now < self.deadline_at:
            raise KeyInFlight(idempotency_key.value, self.session_id, self._retry_after_ms(now), self.winner)
        raise KeyInterrupted(idempotency_key.value, self.session_id, self.winner)

    def _retry_after_ms(self, now: datetime) -> int:
        """Return the time until the call may start, or that it has taken so far, within limits and until its deadline.

        So repeated calls come soon after a short call, and rarely while a call is interrupted.
        """
        accepted_at = uuid7_time(self.winner)
        elapsed = now - max(accepted_at, self.ready_at or accepted_at)
        wait = max(min(elapsed, _RETRY_MAX), -elapsed, _RETRY_MIN)
        return -(-min(wait, self.deadline_at - now) // _MILLISECOND)
