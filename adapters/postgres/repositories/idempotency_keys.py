"""Idempotency keys in PostgreSQL."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar

from adapters.postgres import codec
from domain.errors import DomainError
from domain.idempotency import IdempotencyKey, KeptCall, KeyInFlight

Response = TypeVar("Response")

ERASED = ""
"""Stands in place of the result, which is JSON, in the key of a call whose response was erased."""

_STATEMENTS_MAX = 3
"""Statements of one call until it has taken its key or seen the key's holder."""


def key_columns(keys: Sequence[IdempotencyKey]) -> dict[str, object]:
    """Return keys as parameters of a statement."""
    return {
        "keys": codec.texts(key.value for key in keys),
        "payload_hashes": codec.texts(key.payload_hash for key in keys),
    }


def replayed(kept: KeptCall[Response], idempotency_key: IdempotencyKey, now: datetime) -> Response | Exception:
    """Return the response to a repeated call, or the error to raise."""
    try:
        return kept.replay(idempotency_key, now)
    except DomainError as error:
        return error


async def until_settled(key: IdempotencyKey, submit: Callable[[], Awaitable[Response | None]]) -> Response:
    """Repeat the call until it has a response; raises KeyInFlight if other calls win every time."""
    for _ in range(_STATEMENTS_MAX):
        response = await submit()
        if response is not None:
            return response
    raise KeyInFlight(key.value, None)
