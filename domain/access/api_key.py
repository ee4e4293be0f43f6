"""API keys: random secrets of owners, stored as digests."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from attrs import define, evolve, field, frozen

from domain.access.credentials import CredentialRefused
from domain.access.principal import Principal, Scope
from domain.errors import NotFound
from domain.identity import Owner, is_reserved, uuid7_time

PREFIX = "pgl_"
"""The prefix of every key, for people and for scanners of leaked secrets."""

SECRET_BYTES = 32
"""Bytes of randomness in a secret."""

EXPIRY_NOTICE = timedelta(days=14)
"""How long before its end a key counts as expiring, so that its holder can replace it in time."""

UNUSED_AFTER = timedelta(days=90)
"""The time without a use after which a key counts as unused, so that an operator can revoke it."""

_GRAMMAR = re.compile(r"pgl_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")
_UNKNOWN = "the API key is unknown"


@define(eq=False)
class ApiKeyNotFound(NotFound):
    """There is no API key with this id."""

    code: ClassVar[str] = "API_KEY_NOT_FOUND"

    @property
    def message(self) -> str:
        return "There is no API key with this id. `pglambda keys list` shows all keys."

    @property
    def details(self) -> Mapping[str, object]:
        return {}


@frozen
class ApiKeyText:
    """The text of a key: `pgl_<id>_<secret>`, with the id in hexadecimal."""

    key_id: UUID
    secret: str = field(repr=False)

    def __str__(self) -> str:
        return f"{PREFIX}{self.key_id.hex}_{self.secret}"

    @property
    def secret_hash(self) -> bytes:
        """SHA-256 of the secret.

        A secret of 256 random bits cannot be guessed, so a slow hash with salt would only add its cost.
        """
        return hashlib.sha256(self.secret.encode()).digest()


def split_key(text: str) -> tuple[str, str]:
    """Return the id in hexadecimal and the secret of a key's text; raises CredentialRefused."""
    parts = _GRAMMAR.fullmatch(text)
    if parts is None:
        raise CredentialRefused(_UNKNOWN)
    return parts[1], parts[2]


@frozen
class ApiKey:
    """A stored key. Instants are aware and in UTC; a key without `expires_at` is valid until it is revoked.

    `last_used_at` may be late by a minute; it is None before the first recorded use.
    """

    key_id: UUID
    owner: Owner
    scopes: frozenset[Scope]
    secret_hash: bytes = field(repr=False)
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    principal: Principal = field(init=False, eq=False, repr=False)

    @principal.default
    def _principal(self) -> Principal:
        return Principal(self.owner, self.scopes)

    @property
    def created_at(self) -> datetime:
        """The instant in the key's id."""
        return uuid7_time(self.key_id)

    def admit(self, secret: str, now: datetime) -> Principal:
        """Return the principal of the key; raises CredentialRefused.

        Only a caller with the secret learns that the key was revoked or has expired.
        """
        if not hmac.compare_digest(hashlib.sha256(secret.encode()).digest(), self.secret_hash):
            raise CredentialRefused(_UNKNOWN)
        if self.revoked_at is not None:
            raise CredentialRefused("the API key was revoked")
        if self.expires_at is not None and now >= self.expires_at:
            raise CredentialRefused("the API key has expired")
        if is_reserved(self.owner):
            raise CredentialRefused(f"its owner {self.owner} is a reserved name; create a key for another owner")
        return evolve(self.principal, expires_at=self.expires_at) if self.expires_soon(now) else self.principal

    def expires_soon(self, now: datetime, span: timedelta = EXPIRY_NOTICE) -> bool:
        """Return whether the key is valid, and ends within the span."""
        ends_at = self.expires_at
        return self.revoked_at is None and ends_at is not None and now < ends_at <= now + span

    def is_unused(self, now: datetime, span: timedelta) -> bool:
        """Return whether the key is valid, and neither was created nor has a recorded use within the span."""
        is_valid = self.revoked_at is None and (self.expires_at is None or now < self.expires_at)
        return is_valid and (self.last_used_at or self.created_at) <= now - span

    def revoke(self, now: datetime) -> "ApiKey":
        """Return the revoked key; revoking it again changes nothing."""
        return self if self.revoked_at is not None else evolve(self, revoked_at=now)


def unknown_key() -> CredentialRefused:
    """Return the error for an unknown key, which is the same as for a wrong secret."""
    return CredentialRefused(_UNKNOWN)
