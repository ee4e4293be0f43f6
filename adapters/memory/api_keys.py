"""API keys in memory."""

from datetime import datetime
from uuid import UUID

from attrs import define, field
from typing_extensions import override

from adapters.memory.store import newest_first, page_of
from domain.access.api_key import ApiKey, ApiKeyNotFound
from domain.access.ports import ApiKeyRepository
from domain.identity import Owner
from domain.paging import Page


@define
class MemoryApiKeyRepository(ApiKeyRepository):
    """Stores API keys, and counts the lookups; while `failure` is set, every call raises it."""

    keys: dict[UUID, ApiKey] = field(factory=dict)
    lookups: int = 0
    failure: Exception | None = None

    @override
    async def add(self, key: ApiKey) -> None:
        self._require_available()
        self.keys.setdefault(key.key_id, key)

    @override
    async def find(self, key_id: UUID) -> ApiKey | None:
        self.lookups += 1
        self._require_available()
        return self.keys.get(key_id)

    @override
    async def revoke(self, key_id: UUID, now: datetime) -> ApiKey:
        self._require_available()
        if key_id not in self.keys:
            raise ApiKeyNotFound
        self.keys[key_id] = self.keys[key_id].revoke(now)
        return self.keys[key_id]

    @override
    async def page(self, owner: Owner | None, after: UUID | None, size: int) -> Page[ApiKey]:
        self._require_available()
        own = ((key.key_id, key) for key in self.keys.values() if owner in (None, key.owner))
        return page_of(newest_first(own, after), size)

    def _require_available(self) -> None:
        if self.failure is not None:
            raise self.failure
