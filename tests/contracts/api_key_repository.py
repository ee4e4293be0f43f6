"""The contract of ApiKeyRepository."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from domain.access.api_key import ApiKey, ApiKeyNotFound
from domain.access.ports import ApiKeyRepository
from domain.access.principal import Scope
from domain.identity import Owner

ALICE = Owner("alice")
BOB = Owner('bob, "the\\builder" ä')
HOUR = timedelta(hours=1)


class ApiKeyRepositoryContract:
    """Subclasses have a fixture `keys`."""

    ids = SequentialIds()
    now = ManualClock().now()

    def key(self, owner: Owner = ALICE, at: datetime | None = None, **facts: Any) -> ApiKey:
        defaults = {"scopes": frozenset({Scope.EXECUTE_ALL}), "secret_hash": bytes(range(32)), "expires_at": None}
        return ApiKey(self.ids.new(at or self.now), owner, **defaults | facts)

    async def test_an_added_key_is_found(self, keys: ApiKeyRepository) -> None:
        key = self.key(BOB, scopes=frozenset(Scope), expires_at=self.now + HOUR)
        await keys.add(key)
        assert await keys.find(key.key_id) == key

    async def test_a_key_without_expiry_is_found_without_one(self, keys: ApiKeyRepository) -> None:
        key = self.key()
        await keys.add(key)
        found = await keys.find(key.key_id)
        assert found is not None
        assert (found.expires_at, found.revoked_at) == (None, None)

    async def test_a_key_that_was_never_added_is_not_found(self, keys: ApiKeyRepository) -> None:
        assert await keys.find(self.key().key_id) is None

    async def test_adding_again_changes_nothing(self, keys: ApiKeyRepository) -> None:
        key = self.key()
        await keys.add(key)
        await keys.revoke(key.key_id, self.now)
        await keys.add(key)
        found = await keys.find(key.key_id)
        assert found is not None
        assert found.revoked_at == self.now

    async def test_a_revoked_key_is_found_as_revoked(self, keys: ApiKeyRepository) -> None:
        key, other = self.key(), self.key()
        await keys.add(key)
        await keys.add(other)
        revoked = await keys.revoke(key.key_id, self.now)
        assert revoked == key.revoke(self.now)
        assert await keys.find(key.key_id) == revoked
        assert await keys.find(other.key_id) == other

    async def test_the_first_revocation_stays(self, keys: ApiKeyRepository) -> None:
        key = self.key()
        await keys.add(key)
        await keys.revoke(key.key_id, self.now)
        assert (await keys.revoke(key.key_id, self.now + HOUR)).revoked_at == self.now

    async def test_an_unknown_key_cannot_be_revoked(self, keys: ApiKeyRepository) -> None:
        with pytest.raises(ApiKeyNotFound):
            await keys.revoke(self.key().key_id, self.now)

    async def test_pages_show_every_key_once_newest_first(self, keys: ApiKeyRepository) -> None:
        added = [self.key(BOB if n % 2 else ALICE, self.now + n * HOUR) for n in range(7)]
        for key in added:
            await keys.add(key)
        assert await self._all(keys, None) == added[::-1]
        assert await self._all(keys, ALICE) == added[::-2]
        assert await self._all(keys, Owner("nobody")) == []

    async def _all(self, keys: ApiKeyRepository, owner: Owner | None) -> list[ApiKey]:
        found: list[ApiKey] = []
        after = None
        for _ in range(20):
            page = await keys.page(owner, after, 2)
            assert len(page.items) <= 2
            found += page.items
            after = page.next_after
            if after is None:
                return found
        raise AssertionError("the pages never end")
