"""The use cases of API keys: create, list and revoke them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from attrs import define, frozen

from domain.access.api_key import ApiKey, ApiKeyNotFound, ApiKeyText
from domain.access.ports import ApiKeyRepository
from domain.access.principal import Scope
from domain.audit import ActName, Actor, new_act
from domain.clock import Clock, IdGenerator
from domain.identity import Owner
from domain.paging import Page


@frozen
class IssuedKey:
    """A new key and its text, which is shown once and not stored."""

    key: ApiKey
    text: ApiKeyText


@define
class ApiKeyService:
    """The use cases of API keys, for an actor. `secret` makes a random text of 256 bits.

    Methods may raise StorageUnavailable.
    """

    _clock: Clock
    _ids: IdGenerator
    _keys: ApiKeyRepository
    _secret: Callable[[], str]
    _actor: Actor

    def now(self) -> datetime:
        """Return the instant by which keys are judged."""
        return self._clock.now()

    async def create(self, owner: Owner, scopes: frozenset[Scope], lifetime: timedelta | None) -> IssuedKey:
        """Store a new key; without a lifetime it is valid until it is revoked."""
        now = self._clock.now()
        text = ApiKeyText(self._ids.new(now), self._secret())
        key = ApiKey(text.key_id, owner, scopes, text.secret_hash, now + lifetime if lifetime else None)
        await self._keys.add(key, new_act(self._clock, self._ids, self._actor, ActName.KEYS_CREATE))
        return IssuedKey(key, text)

    async def find(self, key_id: UUID) -> ApiKey:
        """Return the key; raises ApiKeyNotFound."""
        key = await self._keys.find(key_id)
        if key is None:
            raise ApiKeyNotFound
        return key

    async def revoke(self, key_id: UUID) -> ApiKey:
        """Revoke a key and return it; raises ApiKeyNotFound."""
        now = self._clock.now()
        act = new_act(self._clock, self._ids, self._actor, ActName.KEYS_REVOKE)
        return await self._keys.revoke(key_id, now, act)

    async def page(self, owner: Owner | None, after: UUID | None, size: int) -> Page[ApiKey]:
        """Return a page of keys, newest first; keys of all owners if `owner` is None."""
        return await self._keys.page(owner, after, size)
