"""The header of idempotency keys, and the error of every invalid header."""

import hashlib
import re
from typing import Any

import msgspec
from attrs import frozen

from domain.errors import InvalidRequest, Problem
from domain.idempotency import KEY_PATTERN, KEY_SIZE_MAX, IdempotencyKey
from entrypoints.http.errors import invalid
from entrypoints.http.request import Request

_KEY_HEADER = b"idempotency-key"
_KEY = re.compile(KEY_PATTERN)
NOT_STORED = "is not accepted: this server does not store responses. Omit it"
"""Why a server without stored responses rejects a key: the caller relies on a promise that it does not make."""

_canonical = msgspec.json.Encoder(order="deterministic").encode


@frozen
class IdempotencyKeys:
    """Reads idempotency keys, or rejects all of them if the service stores no responses."""

    accepted: bool = True

    def read(self, request: Request) -> str | None:
        """Return the key of a call, None if it has none; raises InvalidRequest."""
        key = request.header(_KEY_HEADER)
        if key is None:
            return None
        if not self.accepted:
            raise invalid_header("Idempotency-Key", NOT_STORED)
        several = sum(name == _KEY_HEADER for name, _ in request.scope["headers"]) > 1
        if several or not _KEY.fullmatch(key):
            raise invalid_header(
                "Idempotency-Key", f"must be one key of 1 to {KEY_SIZE_MAX} printable ASCII characters"
            )
        return key


def idempotency_key(key: str | None, payload: Any, kind: bytes = b"") -> IdempotencyKey | None:
    """Return the key with the hash of a payload, which is any value that can be encoded as JSON.

    The `kind` stands in front of it. No JSON begins so, so payloads of two kinds have different hashes.
    """
    return None if key is None else IdempotencyKey(key, payload_hash(payload, kind))


def payload_hash(payload: Any, kind: bytes = b"") -> str:
    """Return the SHA-256 of the canonical JSON: sorted members, no spaces, one spelling of numbers and strings."""
    value = msgspec.json.decode(msgspec.json.encode(payload))
    return hashlib.sha256(kind + _canonical(value)).hexdigest()


def reject_idempotency_key(request: Request, advice: str) -> None:
    """Raise InvalidRequest with this advice if a batch as a whole has an idempotency key."""
    if request.header(_KEY_HEADER) is not None:
        raise invalid_header("Idempotency-Key", f"is not accepted for a batch. {advice}")


def invalid_header(name: str, message: str) -> InvalidRequest:
    """Return the error of a request with this problem in a header."""
    return invalid([Problem(f"/headers/{name}", message)])
