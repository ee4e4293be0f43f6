"""API keys in memory."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from attrs import define, evolve, field
from typing_extensions import override

from adapters.memory.audit import MemoryAudit
from adapters.memory.store import newest_first, page_of
from domain.access.api_key import ApiKey, ApiKeyNotFound
from domain.access.ports import ApiKeyRepository
from domain.audit import Act
from domain.identity import Owner
from domain.paging import Page


@define
class MemoryApiKeyRepository(ApiKeyRepository):
    """Stores API keys, and counts the lookups; while `failure` is set, every call raises it."""

    keys: dict[UUID, ApiKey] = field(factory=dict)
    lookups: int = 0
    failure: Exception | None = None
    audit: MemoryAudit = field(factory=MemoryAudit)

    @override
    async def add(self, key: ApiKey, act: Act) -> None:
        self._require_available()
        if key.key_id not in self.keys:
            self.keys[key.key_id] = key
            expires_at = key.expires_at and key.expires_at.isoformat()
            details = {"scopes": sorted(key.scopes), "expires_at": expires_at}
            self.audit.record(act, key.owner, str(key.key_id), details)

    @override
    async def find(self, key_id: UUID) -> ApiKey | None:
        self.lookups += 1
        self._require_available()
        return self.keys.get(key_id)

    @override
    async def revoke(self, key_id: UUID, now: datetime, act: Act) -> ApiKey:
        self._require_available()
        if key_id not in self.keys:
            raise ApiKeyNotFound
        key = self.keys[key_id]
        if key.revoked_at is None:
            self.keys[key_id] = key.revoke(now)
            self.audit.record(act, key.owner, str(key_id), {})
        return self.keys[key_id]

    @override
    async def record_uses(self, used_at: Mapping[UUID, datetime]) -> None:
        self._require_available()
        for key_id, at in used_at.items():
            key = self.keys.get(key_id)
            if key is not None and (key.last_used_at is None or key.last_used_at < at):
                self.keys[key_id] = evolve(key, last_used_at=at)

    @override
    async def page(self, owner: Owner | None, after: UUID | None, size: int) -> Page[ApiKey]:
        self._require_available()
        own = ((key.key_id, key) for key in self.keys.values() if owner in (None, key.owner))
        return page_of(newest_first(own, after), size)

    def _require_available(self) -> None:
        if self.failure is not None:
            raise self.failure
