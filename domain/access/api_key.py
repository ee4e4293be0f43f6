"""API keys: long secrets with an owner, kept as digests."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from attrs import define, evolve, field, frozen

from domain.access.credentials import CredentialRefused
from domain.access.principal import Principal, Scope
from domain.errors import NotFound
from domain.identity import Owner, uuid7_time

PREFIX = "pgl_"
"""What every key begins with, for people and for scanners of leaked secrets."""

SECRET_BYTES = 32
"""Bytes of randomness in a secret."""

_GRAMMAR = re.compile(r"pgl_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")
_UNKNOWN = "the API key is not known here"


@define(eq=False)
class ApiKeyNotFound(NotFound):
    """There is no API key with this id."""

    code: ClassVar[str] = "API_KEY_NOT_FOUND"

    @property
    def message(self) -> str:
        return "There is no API key with this id. `pglambda keys list` shows them all."

    @property
    def details(self) -> Mapping[str, object]:
        return {}


@frozen
class ApiKeyText:
    """A key as its holder has it: `pgl_<id>_<secret>`, the id in hexadecimal."""

    key_id: UUID
    secret: str = field(repr=False)

    def __str__(self) -> str:
        return f"{PREFIX}{self.key_id.hex}_{self.secret}"

    @property
    def secret_hash(self) -> bytes:
        """SHA-256 of the secret.

        A secret of 256 random bits cannot be guessed, so a slow hash with salt would add nothing but its cost.
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
    """What is kept of a key. Instants are aware and in UTC; without `expires_at` it holds until it is revoked."""

    key_id: UUID
    owner: Owner
    scopes: frozenset[Scope]
    secret_hash: bytes = field(repr=False)
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    principal: Principal = field(init=False, eq=False, repr=False)

    @principal.default
    def _principal(self) -> Principal:
        return Principal(self.owner, self.scopes)

    @property
    def created_at(self) -> datetime:
        """The instant in the key's id."""
        return uuid7_time(self.key_id)

    def admit(self, secret: str, now: datetime) -> Principal:
        """Return who holds this secret; raises CredentialRefused.

        Whether a key was revoked or has expired is told to those alone who have its secret.
        """
        if not hmac.compare_digest(hashlib.sha256(secret.encode()).digest(), self.secret_hash):
            raise CredentialRefused(_UNKNOWN)
        if self.revoked_at is not None:
            raise CredentialRefused("the API key was revoked")
        if self.expires_at is not None and now >= self.expires_at:
            raise CredentialRefused("the API key has expired")
        return self.principal

    def revoke(self, now: datetime) -> "ApiKey":
        """Return the key revoked; revoking again changes nothing."""
        return self if self.revoked_at is not None else evolve(self, revoked_at=now)


def unknown_key() -> CredentialRefused:
    """Return the refusal of a key that is not kept here, which is that of a wrong secret too."""
    return CredentialRefused(_UNKNOWN)
