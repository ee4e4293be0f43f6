"""Request headers: idempotency keys, and conditions on versions."""

import hashlib
import re
from typing import Any

import msgspec
from attrs import frozen

from domain.errors import InvalidRequest, Problem
from domain.functions.function import Precondition
from domain.idempotency import IdempotencyKey
from entrypoints.http.errors import invalid
from entrypoints.http.request import Request

KEY_SIZE_MAX = 255
KEY_PATTERN = f"^[\\x20-\\x7e]{{1,{KEY_SIZE_MAX}}}$"

NO_VERSION = 0
"""A version that no session has."""

_KEY_HEADER = b"idempotency-key"
_KEY = re.compile(KEY_PATTERN)
_canonical = msgspec.json.Encoder(order="deterministic").encode

_TAG = '(?:W/)?"[!#-~]*"'
_VERSION = re.compile(r'(?:^|(?<=[ \t,]))"([1-9][0-9]{0,17})"')
_TAGS_MAX = 8

TAGS_PATTERN = rf"^(?:\*|{_TAG}(?:[ \t]*,[ \t]*{_TAG}){{0,{_TAGS_MAX - 1}}})$"
"""The form of `If-Match`, in the dialect that JSON Schema shares."""

_TAGS = re.compile(TAGS_PATTERN)


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
            # The caller relies on a promise that this server does not make.
            raise _invalid_header("Idempotency-Key", "is not accepted: this server does not store responses. Omit it")
        several = sum(name == _KEY_HEADER for name, _ in request.scope["headers"]) > 1
        if several or not _KEY.fullmatch(key):
            raise _invalid_header(
                "Idempotency-Key", f"must be one key of 1 to {KEY_SIZE_MAX} printable ASCII characters"
            )
        return key


def idempotency_key(key: str | None, payload: Any) -> IdempotencyKey | None:
    """Return the key with the hash of a payload, which is any value that can be encoded as JSON."""
    return None if key is None else IdempotencyKey(key, payload_hash(payload))


def payload_hash(payload: Any) -> str:
    """Return the SHA-256 of the canonical JSON: sorted members, no spaces, one spelling of numbers and strings."""
    value = msgspec.json.decode(msgspec.json.encode(payload))
    return hashlib.sha256(_canonical(value)).hexdigest()


def reject_idempotency_key(request: Request) -> None:
    """Raise InvalidRequest if a batch has an idempotency key."""
    if request.header(_KEY_HEADER) is not None:
        message = "is not accepted for a batch. Execute the items one by one, each with a key of its own"
        raise _invalid_header("Idempotency-Key", message)


def versions_matched(request: Request) -> tuple[int | None, ...]:
    """Return the versions of which the session must have one, by `If-Match` (RFC 9110, section 13.1.1).

    None is any version. Weak tags, and tags that no session ever had, match nothing. Raises InvalidRequest.
    """
    header = request.header(b"if-match")
    if header is None or header.strip() == "*":
        return (None,)
    if not _TAGS.fullmatch(header):
        message = f'must be "*" or at most {_TAGS_MAX} entity tags such as "3", in double quotes'
        raise _invalid_header("If-Match", message)
    return tuple(int(version) for version in _VERSION.findall(header)) or (NO_VERSION,)


def function_condition(request: Request) -> Precondition:
    """Return what `If-Match` and `If-None-Match` require of a function; raises InvalidRequest."""
    match, none_match = request.header(b"if-match"), request.header(b"if-none-match")
    if none_match is not None and none_match.strip() != "*":
        raise _invalid_header("If-None-Match", 'must be "*": the function must not be registered')
    if match is None:
        return Precondition(registered=None if none_match is None else False)
    versions = [version for version in versions_matched(request) if version is not None]
    registered = none_match is None
    return Precondition(frozenset(versions) if versions else None, registered)


def _invalid_header(name: str, message: str) -> InvalidRequest:
    return invalid([Problem(f"/headers/{name}", message)])
