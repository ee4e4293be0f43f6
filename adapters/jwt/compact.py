"""Strict parsing of signed tokens in the compact form."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, NoReturn

from attrs import field, frozen

from domain.access.credentials import CREDENTIAL_SIZE_MAX, CredentialRefused

_GRAMMAR = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_TYPES = frozenset({"jwt", "at+jwt"})
_CHANGES_MEANING = ("crit", "b64", "zip", "enc")
"""Header parameters that change the meaning of a token."""


@frozen
class SignedToken:
    """The parts of a token. None of them can be trusted before the signature is verified."""

    algorithm: str
    kid: str | None
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)


def read_token(text: str) -> SignedToken:
    """Return the parts of a token; raises CredentialRefused.

    Keys and key addresses in the token itself (`jwk`, `jku`, `x5c`, `x5u`) are ignored.
    """
    parts = _GRAMMAR.fullmatch(text) if len(text) <= CREDENTIAL_SIZE_MAX else None
    if parts is None:
        raise _malformed()
    header, claims = _object(parts[1]), _object(parts[2])
    if any(name in header for name in _CHANGES_MEANING):
        raise CredentialRefused("its header has parameters that this service does not support")
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or not isinstance(kid, str | None):
        raise _malformed()
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES:
        raise CredentialRefused("its type is not that of an access token")
    return SignedToken(algorithm, kid, f"{parts[1]}.{parts[2]}".encode(), decode_base64(parts[3]), claims)


def decode_base64(text: str) -> bytes:
    """Decode base64url without padding, in its only canonical form; raises CredentialRefused."""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise _malformed() from None
    if encode_base64(raw) != text:
        raise _malformed()
    return raw


def encode_base64(raw: bytes) -> str:
    """Encode as base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def read_object(raw: bytes) -> Mapping[str, Any]:
    """Parse a JSON object without repeated names; raises ValueError or RecursionError."""
    members = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_reject)
    if not isinstance(members, dict):
        raise ValueError("not an object")  # noqa: TRY004  # for callers it is a malformed text
    return members


def _object(part: str) -> Mapping[str, Any]:
    try:
        return read_object(decode_base64(part))
    except (ValueError, RecursionError):
        raise _malformed() from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name is repeated")
    return members


def _reject(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _malformed() -> CredentialRefused:
    return CredentialRefused("it is neither a signed token nor an API key")
