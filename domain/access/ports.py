"""Ports to credentials: signed tokens and stored API keys."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.access.api_key import ApiKey
from domain.access.principal import Principal
from domain.audit import Act
from domain.identity import Owner
from domain.paging import Page


class TokenVerifier(Protocol):
    """Verifies signed tokens."""

    async def verify(self, token: str) -> Principal:
        """Return the principal of the token.

        Raises CredentialRefused, StorageUnavailable while the common time is unknown, and JwksUnavailable while no key
        to verify with has been fetched.
        """
        ...


class ApiKeyRepository(Protocol):
    """Stores API keys. Every method may raise StorageUnavailable or Overloaded, as in SessionRepository."""

    async def add(self, key: ApiKey, act: Act) -> None:
        """Store a new key durably, with the record of the act; adding it again changes and records nothing."""
        ...

    async def find(self, key_id: UUID) -> ApiKey | None:
        """Return the key, whatever its state, as all acknowledged writes left it; None if there is none."""
        ...

    async def revoke(self, key_id: UUID, now: datetime, act: Act) -> ApiKey:
        """Revoke the key at `now`, record the act with it, and return the key.

        Only the first revocation counts and is recorded. Raises ApiKeyNotFound.
        """
        ...

    async def record_uses(self, used_at: Mapping[UUID, datetime]) -> None:
        """Keep the latest use of each key; an earlier instant, and an unknown key, change nothing.

        The use of a key that another transaction has locked may be dropped.
        """
        ...

    async def page(self, owner: Owner | None, after: UUID | None, size: int) -> Page[ApiKey]:
        """Return at most `size` keys of one owner, or of all owners, newest first, older than `after`."""
        ...
