"""The header `Idempotency-Key`, and how a replay is marked."""

import hashlib
import re
from typing import Any

import msgspec
from attrs import frozen

from domain.errors import Problem
from domain.idempotency import IdempotencyKey
from entrypoints.http.errors import invalid
from entrypoints.http.request import Request

KEY_SIZE_MAX = 255
KEY_PATTERN = f"^[\\x20-\\x7e]{{1,{KEY_SIZE_MAX}}}$"
REPLAYED = ((b"idempotent-replayed", b"true"),)

_HEADER = b"idempotency-key"
_POINTER = "/headers/Idempotency-Key"
_KEY = re.compile(KEY_PATTERN)
_canonical = msgspec.json.Encoder(order="deterministic").encode


@frozen
class IdempotencyKeys:
    """Reads the keys of calls, or refuses all of them where answers are not kept."""

    taken: bool = True

    def name(self, request: Request) -> str | None:
        """Return the key as it came, None where there is none; raises InvalidRequest for one that is not taken."""
        key = request.header(_HEADER)
        if key is None:
            return None
        if not self.taken:
            # A caller that sends one relies on a promise that is not given here.
            raise _refused("is not taken by this server: the call would not be kept from running twice. Leave it out")
        several = sum(name == _HEADER for name, _ in request.scope["headers"]) > 1
        if several or not _KEY.fullmatch(key):
            raise _refused(f"must be one key of 1 to {KEY_SIZE_MAX} printable ASCII characters")
        return key


def idempotency_key(name: str | None, payload: Any) -> IdempotencyKey | None:
    """Return the key with the hash of a payload, which is anything that is written as JSON."""
    return None if name is None else IdempotencyKey(name, payload_hash(payload))


def payload_hash(payload: Any) -> str:
    """Return the SHA-256 of the canonical JSON: members in order, no spaces, numbers and strings in one spelling."""
    value = msgspec.json.decode(msgspec.json.encode(payload))
    return hashlib.sha256(_canonical(value)).hexdigest()


def _refused(message: str) -> Exception:
    return invalid([Problem(_POINTER, message)])
