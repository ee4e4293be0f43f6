"""What tells who is calling."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.access.api_key import ApiKey
from domain.access.principal import Principal
from domain.identity import Owner
from domain.paging import Page


class TokenVerifier(Protocol):
    """Tells by whom a signed token was made out, and to whom."""

    async def verify(self, token: str) -> Principal:
        """Return the caller that the token names.

        Raises CredentialRefused, StorageUnavailable as long as the common time is not known, and KeysUnavailable as
        long as no key to verify with has ever been fetched.
        """
        ...


class ApiKeyRepository(Protocol):
    """Keeps API keys; any method may raise StorageUnavailable or Overloaded, as in SessionRepository."""

    async def add(self, key: ApiKey) -> None:
        """Store a new key durably. Adding the same key again changes nothing."""
        ...

    async def find(self, key_id: UUID) -> ApiKey | None:
        """Return the key, whatever its state, as all acknowledged writes left it; None when there is none."""
        ...

    async def revoke(self, key_id: UUID, now: datetime) -> ApiKey:
        """Revoke the key at `now` and return it; the first revocation stays. Raises ApiKeyNotFound."""
        ...

    async def page(self, owner: Owner | None, after: UUID | None, size: int) -> Page[ApiKey]:
        """Return at most `size` keys of one owner, or of all, newest first, older than `after`."""
        ...
