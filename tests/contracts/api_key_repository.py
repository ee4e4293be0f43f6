"""The contract of ApiKeyRepository."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from domain.access.api_key import ApiKey, ApiKeyNotFound
from domain.access.ports import ApiKeyRepository
from domain.access.principal import Scope
from domain.audit import Act, ActName, AuditReader
from domain.identity import Owner
from tests.support.acts import act, recorded

ALICE = Owner("alice")
BOB = Owner('bob, "the\\builder" ä')
HOUR = timedelta(hours=1)


class ApiKeyRepositoryContract:
    """Subclasses have the fixtures `keys` and `audit`."""

    ids = SequentialIds()
    now = ManualClock().now()

    def key(self, owner: Owner = ALICE, at: datetime | None = None, **facts: Any) -> ApiKey:
        defaults = {"scopes": frozenset({Scope.EXECUTE_ALL}), "secret_hash": bytes(range(32)), "expires_at": None}
        return ApiKey(self.ids.new(at or self.now), owner, **defaults | facts)

    def act(self, name: ActName) -> Act:
        return act(name, self.ids)

    async def test_an_added_key_is_found(self, keys: ApiKeyRepository) -> None:
        key = self.key(BOB, scopes=frozenset(Scope), expires_at=self.now + HOUR)
        await keys.add(key, self.act(ActName.KEYS_CREATE))
        assert await keys.find(key.key_id) == key

    async def test_a_key_without_expiry_is_found_without_one(self, keys: ApiKeyRepository) -> None:
        key = self.key()
        await keys.add(key, self.act(ActName.KEYS_CREATE))
        found = await keys.find(key.key_id)
        assert found is not None
        assert (found.expires_at, found.revoked_at) == (None, None)

    async def test_a_key_that_was_never_added_is_not_found(self, keys: ApiKeyRepository) -> None:
        assert await keys.find(self.key().key_id) is None

    async def test_adding_again_changes_nothing(self, keys: ApiKeyRepository) -> None:
        key = self.key()
        await keys.add(key, self.act(ActName.KEYS_CREATE))
        await keys.revoke(key.key_id, self.now, self.act(ActName.KEYS_REVOKE))
        await keys.add(key, self.act(ActName.KEYS_CREATE))
        found = await keys.find(key.key_id)
        assert found is not None
        assert found.revoked_at == self.now

    async def test_a_revoked_key_is_found_as_revoked(self, keys: ApiKeyRepository) -> None:
        key, other = self.key(), self.key()
        await keys.add(key, self.act(ActName.KEYS_CREATE))
        await keys.add(other, self.act(ActName.KEYS_CREATE))
        revoked = await keys.revoke(key.key_id, self.now, self.act(ActName.KEYS_REVOKE))
        assert revoked == key.revoke(self.now)
        assert await keys.find(key.key_id) == revoked
        assert await keys.find(other.key_id) == other

    async def test_the_first_revocation_stays(self, keys: ApiKeyRepository) -> None:
        key = self.key()
        await keys.add(key, self.act(ActName.KEYS_CREATE))
        await keys.revoke(key.key_id, self.now, self.act(ActName.KEYS_REVOKE))
        assert (await keys.revoke(key.key_id, self.now + HOUR, self.act(ActName.KEYS_REVOKE))).revoked_at == self.now

    async def test_an_unknown_key_cannot_be_revoked(self, keys: ApiKeyRepository) -> None:
        with pytest.raises(ApiKeyNotFound):
            await keys.revoke(self.key().key_id, self.now, self.act(ActName.KEYS_REVOKE))

    async def test_the_latest_use_of_a_key_is_kept(self, keys: ApiKeyRepository) -> None:
        key, other = self.key(), self.key(BOB)
        await keys.add(key, self.act(ActName.KEYS_CREATE))
        await keys.add(other, self.act(ActName.KEYS_CREATE))
        await keys.record_uses({key.key_id: self.now + HOUR, other.key_id: self.now})
        await keys.record_uses({key.key_id: self.now, self.key().key_id: self.now})
        await keys.record_uses({})
        assert [await self._used_at(keys, each) for each in (key, other)] == [self.now + HOUR, self.now]
        assert [each.last_used_at for each in await self._all(keys, BOB)] == [self.now]

    async def test_a_revoked_key_keeps_its_last_use(self, keys: ApiKeyRepository) -> None:
        key = self.key()
        await keys.add(key, self.act(ActName.KEYS_CREATE))
        await keys.record_uses({key.key_id: self.now})
        revoked = await keys.revoke(key.key_id, self.now + HOUR, self.act(ActName.KEYS_REVOKE))
        assert revoked.last_used_at == self.now

    async def test_pages_show_every_key_once_newest_first(self, keys: ApiKeyRepository) -> None:
        added = [self.key(BOB if n % 2 else ALICE, self.now + n * HOUR) for n in range(7)]
        for key in added:
            await keys.add(key, self.act(ActName.KEYS_CREATE))
        assert await self._all(keys, None) == added[::-1]
        assert await self._all(keys, ALICE) == added[::-2]
        assert await self._all(keys, Owner("nobody")) == []

    async def test_creating_and_revoking_a_key_is_recorded_once(
        self, keys: ApiKeyRepository, audit: AuditReader
    ) -> None:
        key = self.key(BOB, expires_at=self.now + HOUR)
        created, revoked, again = (self.act(name) for name in (ActName.KEYS_CREATE, *[ActName.KEYS_REVOKE] * 2))
        await keys.add(key, created)
        await keys.add(key, created)
        await keys.revoke(key.key_id, self.now, revoked)
        await keys.revoke(key.key_id, self.now, revoked)
        await keys.revoke(key.key_id, self.now + HOUR, again)
        newest, oldest = await recorded(audit)
        assert (oldest.act_id, oldest.actor, oldest.act) == (created.act_id, created.actor, "keys.create")
        assert (oldest.owner, oldest.subject, oldest.details["scopes"]) == (BOB, str(key.key_id), ["execute:all"])
        assert datetime.fromisoformat(str(oldest.details["expires_at"])) == key.expires_at
        assert (newest.act_id, newest.act, newest.subject) == (revoked.act_id, "keys.revoke", str(key.key_id))

    async def test_the_record_has_no_secret(self, keys: ApiKeyRepository, audit: AuditReader) -> None:
        key = self.key(secret_hash=bytes(range(100, 132)))
        await keys.add(key, self.act(ActName.KEYS_CREATE))
        (entry,) = await recorded(audit)
        assert key.secret_hash.hex() not in str(entry)
        assert set(entry.details) == {"scopes", "expires_at"}

    async def test_pages_of_the_record_show_every_act_once_newest_first(
        self, keys: ApiKeyRepository, audit: AuditReader
    ) -> None:
        acts = [self.act(ActName.KEYS_CREATE) for _ in range(5)]
        for each in acts:
            await keys.add(self.key(), each)
        assert [entry.act_id for entry in await recorded(audit, size=2)] == [each.act_id for each in acts[::-1]]

    async def _used_at(self, keys: ApiKeyRepository, key: ApiKey) -> datetime | None:
        found = await keys.find(key.key_id)
        assert found is not None
        return found.last_used_at

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
