"""Credentials become principals, with few lookups and bounded caches."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from attrs import define, evolve, field

from adapters.memory.api_keys import MemoryApiKeyRepository
from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from domain.access.api_key import EXPIRY_NOTICE, ApiKeyNotFound, split_key
from domain.access.api_key_service import ApiKeyService
from domain.access.authentication import Authentication, KeyCacheOptions, KeyRing
from domain.access.credentials import CREDENTIAL_SIZE_MAX, CredentialMissing, CredentialRefused, JwksUnavailable
from domain.access.ports import TokenVerifier
from domain.access.principal import Principal, Scope
from domain.errors import Overloaded, StorageUnavailable, Unauthorized, Unavailable
from domain.identity import Owner
from tests.support.acts import OPERATOR

ALICE = Principal(Owner("alice"), frozenset({Scope.EXECUTE_PYTHON}))
TTL = KeyCacheOptions().fresh
TICK = timedelta(microseconds=1)


class ManualTokens(TokenVerifier):
    async def verify(self, token: str) -> Principal:
        if token != "token":
            raise CredentialRefused("no")
        return ALICE


@define(eq=False)
class World:
    clock: ManualClock = field(factory=ManualClock)
    keys: MemoryApiKeyRepository = field(factory=MemoryApiKeyRepository)
    options: KeyCacheOptions = field(factory=KeyCacheOptions)
    made: int = 0
    service: ApiKeyService = field(init=False)
    authentication: Authentication = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.service = ApiKeyService(self.clock, SequentialIds(), self.keys, self._secret, OPERATOR)
        self.authentication = Authentication(KeyRing(self.clock, self.keys, self.options), ManualTokens())

    def _secret(self) -> str:
        self.made += 1
        return f"{self.made:043}"

    async def issue(self, lifetime: timedelta | None = None) -> str:
        return str((await self.service.create(ALICE.owner, ALICE.scopes, lifetime)).text)

    async def refused(self, credential: str) -> str:
        with pytest.raises(CredentialRefused) as caught:
            await self.authentication.principal(credential)
        return caught.value.reason


@pytest.fixture
def world() -> World:
    return World()


async def test_a_key_and_a_token_give_their_principal(world: World) -> None:
    assert await world.authentication.principal(await world.issue()) == ALICE
    assert await world.authentication.principal("token") == ALICE
    assert await world.refused("other") == "no"


async def test_without_a_verifier_only_api_keys_are_accepted(world: World) -> None:
    alone = Authentication(KeyRing(world.clock, world.keys))
    assert await alone.principal(await world.issue()) == ALICE
    with pytest.raises(CredentialRefused, match="only API keys"):
        await alone.principal("token")


async def test_a_huge_credential_is_refused(world: World) -> None:
    assert "longer" in await world.refused("pgl_" + "x" * CREDENTIAL_SIZE_MAX)
    assert "longer" in await world.refused("x" * (CREDENTIAL_SIZE_MAX + 1))


async def test_a_key_in_use_is_looked_up_once_while_it_is_fresh(world: World) -> None:
    key = await world.issue()
    for _ in range(10):
        await world.authentication.principal(key)
    assert world.keys.lookups == 1
    world.clock.advance(TTL - TICK)
    await world.authentication.principal(key)
    assert world.keys.lookups == 1
    world.clock.advance(TICK)
    await world.authentication.principal(key)
    assert world.keys.lookups == 2


async def test_a_revoked_key_is_refused_when_it_is_no_longer_fresh(world: World) -> None:
    issued = await world.service.create(ALICE.owner, ALICE.scopes, None)
    await world.authentication.principal(str(issued.text))
    await world.service.revoke(issued.key.key_id)
    world.clock.advance(TTL)
    assert await world.refused(str(issued.text)) == "the API key was revoked"


async def test_a_cached_key_expires_at_its_own_instant(world: World) -> None:
    key = await world.issue(timedelta(seconds=2))
    await world.authentication.principal(key)
    world.clock.advance(timedelta(seconds=2))
    assert await world.refused(key) == "the API key has expired"
    assert world.keys.lookups == 1


async def test_a_cached_key_does_not_accept_a_wrong_secret(world: World) -> None:
    key = await world.issue()
    await world.authentication.principal(key)
    assert await world.refused(key[:-1] + "x") == "the API key is unknown"
    assert world.keys.lookups == 1


async def test_an_unknown_key_is_looked_up_once_while_that_is_fresh(world: World) -> None:
    unknown = f"pgl_{7:032x}_{'x' * 43}"
    for _ in range(5):
        assert await world.refused(unknown) == "the API key is unknown"
    assert world.keys.lookups == 1
    world.clock.advance(TTL)
    await world.refused(unknown)
    assert world.keys.lookups == 2


async def test_guesses_displace_no_key_in_use() -> None:
    world = World(options=KeyCacheOptions(size_max=3))
    key = await world.issue()
    await world.authentication.principal(key)
    for n in range(10):
        await world.refused(f"pgl_{n:032x}_{'x' * 43}")
    before = world.keys.lookups
    await world.authentication.principal(key)
    assert world.keys.lookups == before


class Slow(MemoryApiKeyRepository):
    """Holds lookups until the test lets them go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = asyncio.Event()
        self.waiting = 0

    async def find(self, key_id: Any) -> Any:
        self.waiting += 1
        await self.let_go.wait()
        self.waiting -= 1
        return await super().find(key_id)


async def test_guesses_delay_no_key_in_use() -> None:
    slow = Slow()
    world = World(keys=slow, options=KeyCacheOptions(lookups_max=2, lookup_timeout_s=60))
    key, other = await world.issue(), await world.issue()
    slow.let_go.set()
    await world.authentication.principal(key)
    slow.let_go.clear()
    world.clock.advance(TTL)
    guesses = [asyncio.create_task(world.refused(f"pgl_{n:032x}_{'x' * 43}")) for n in range(2)]
    in_use = asyncio.create_task(world.authentication.principal(key))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(world.authentication.principal(other))
    await asyncio.sleep(0)
    assert slow.waiting == 3, "the guesses, and the key in use"
    slow.let_go.set()
    assert await in_use == ALICE
    assert await asyncio.gather(*guesses) == ["the API key is unknown"] * 2
    assert await waiting == ALICE, "the lookups of the guesses have ended"


async def test_a_lookup_waits_for_its_turn_and_is_refused_when_the_wait_is_over() -> None:
    slow = Slow()
    world = World(keys=slow, options=KeyCacheOptions(lookups_max=1, lookups_waiting_max=1, lookup_timeout_s=0.05))
    guess, late, beyond = (f"pgl_{n:032x}_{'x' * 43}" for n in range(3))
    first = asyncio.create_task(world.authentication.principal(guess))
    await asyncio.sleep(0)
    second = asyncio.create_task(world.authentication.principal(late))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="lookup of an API key"):
        await world.authentication.principal(beyond)
    assert not second.done(), "the queue is full, and does not refuse who waits in it"
    with pytest.raises(Overloaded, match="lookup of an API key"):
        await second
    with pytest.raises(StorageUnavailable):
        await first


async def test_a_key_that_is_not_remembered_is_looked_up_among_guesses() -> None:
    slow = Slow()
    world = World(keys=slow, options=KeyCacheOptions(lookups_max=1, lookup_timeout_s=60))
    key = await world.issue()
    slow.let_go.set()
    await world.authentication.principal(key)
    slow.let_go.clear()
    world.clock.advance(world.options.remembered)
    guess = asyncio.create_task(world.refused(f"pgl_{1:032x}_{'x' * 43}"))
    await asyncio.sleep(0)
    found = asyncio.create_task(world.authentication.principal(key))
    await asyncio.sleep(0)
    assert slow.waiting == 1
    slow.let_go.set()
    await guess
    assert await found == ALICE


async def test_keys_beyond_the_size_of_the_cache_are_looked_up_again() -> None:
    world = World(options=KeyCacheOptions(size_max=2))
    keys = [await world.issue() for _ in range(3)]
    for key in (*keys, *keys):
        await world.authentication.principal(key)
    assert world.keys.lookups == 6


async def test_a_text_that_is_no_key_is_not_looked_up(world: World) -> None:
    await world.refused("pgl_x")
    assert world.keys.lookups == 0


@pytest.mark.parametrize("failure", [StorageUnavailable(), Overloaded("api keys")])
async def test_a_failed_lookup_refuses_the_key_only_once(world: World, failure: Exception) -> None:
    key = await world.issue()
    world.keys.failure = failure
    with pytest.raises(type(failure)):
        await world.authentication.principal(key)
    world.keys.failure = None
    assert await world.authentication.principal(key) == ALICE


async def test_a_silent_lookup_ends_in_time() -> None:
    class Hanging(MemoryApiKeyRepository):
        async def find(self, key_id: Any) -> Any:
            await asyncio.Event().wait()

    world = World()
    ring = KeyRing(world.clock, Hanging(), evolve(world.options, lookup_timeout_s=0.01))
    with pytest.raises(StorageUnavailable):
        await ring.principal(await world.issue())


async def test_keys_are_listed_and_revoked(world: World) -> None:
    issued = [await world.service.create(ALICE.owner, ALICE.scopes, None) for _ in range(3)]
    page = await world.service.page(ALICE.owner, None, 2)
    assert [key.key_id for key in page.items] == [each.key.key_id for each in issued[:0:-1]]
    assert (await world.service.revoke(issued[0].key.key_id)).revoked_at == world.clock.now()
    with pytest.raises(ApiKeyNotFound):
        await world.service.revoke(SequentialIds().new(world.clock.now() + TTL))


def test_errors_about_credentials_say_what_to_do() -> None:
    assert "Authorization: Bearer" in CredentialMissing().message
    assert CredentialRefused("it has expired").details == {"reason": "it has expired"}
    assert "not accepted: it has expired" in str(CredentialRefused("it has expired"))
    assert isinstance(CredentialMissing(), Unauthorized)
    assert isinstance(JwksUnavailable(), Unavailable)
    assert JwksUnavailable().details == {"stored": "no", "executed": "no", "retry_after_ms": 1000}
    assert "Repeat the call" in JwksUnavailable().message


class Unavailing(MemoryApiKeyRepository):
    """Fails lookups while it is unavailable."""

    unavailable = False

    async def find(self, key_id: Any) -> Any:
        if self.unavailable:
            raise StorageUnavailable
        return await super().find(key_id)


async def test_a_key_in_use_is_accepted_while_stale_if_it_cannot_be_looked_up() -> None:
    keys = Unavailing()
    world = World(keys=keys)
    key, unused = await world.issue(), await world.issue()
    await world.authentication.principal(key)
    keys.unavailable = True
    world.clock.advance(world.options.stale - timedelta(seconds=1))
    assert await world.authentication.principal(key) == ALICE
    assert await world.refused(key[:-1] + "x") == "the API key is unknown"
    with pytest.raises(StorageUnavailable):
        await world.authentication.principal(unused)
    world.clock.advance(timedelta(seconds=1))
    with pytest.raises(StorageUnavailable):
        await world.authentication.principal(key)


async def test_a_revoked_stale_key_is_refused_at_its_next_lookup() -> None:
    keys = Unavailing()
    world = World(keys=keys)
    key = await world.issue()
    await world.authentication.principal(key)
    await world.service.revoke(UUID(split_key(key)[0]))
    keys.unavailable = True
    world.clock.advance(TTL)
    assert await world.authentication.principal(key) == ALICE
    keys.unavailable = False
    assert "revoked" in await world.refused(key)


class TestUses:
    """The uses of keys are recorded together, in the background."""

    @pytest.fixture
    def ring(self, world: World) -> KeyRing:
        return KeyRing(world.clock, world.keys, world.options)

    def used_at(self, world: World) -> list[datetime | None]:
        return [key.last_used_at for key in world.keys.keys.values()]

    async def test_the_latest_uses_are_recorded_once(self, world: World, ring: KeyRing) -> None:
        first, second = await world.issue(), await world.issue()
        for text in (first, second, first):
            await ring.principal(text)
            world.clock.advance(TICK)
        await ring.record_uses()
        now = world.clock.now()
        assert self.used_at(world) == [now - TICK, now - 2 * TICK]
        world.keys.failure = StorageUnavailable()
        with pytest.raises(StorageUnavailable):  # it writes, though nothing is left to record
            await ring.record_uses()

    async def test_a_wrong_secret_is_no_use(self, world: World, ring: KeyRing) -> None:
        text = await world.issue()
        with pytest.raises(CredentialRefused):
            await ring.principal(text[:-1] + "A")
        await ring.record_uses()
        assert self.used_at(world) == [None]

    async def test_uses_that_could_not_be_recorded_are_recorded_later(self, world: World, ring: KeyRing) -> None:
        text = await world.issue()
        await ring.principal(text)
        world.keys.failure = StorageUnavailable()
        await ring.close()
        world.keys.failure = None
        assert self.used_at(world) == [None]
        await ring.close()
        assert self.used_at(world) == [world.clock.now()]

    async def test_the_first_use_after_a_quiet_time_is_recorded_at_once(self, world: World, ring: KeyRing) -> None:
        await ring.principal(await world.issue())
        background = asyncio.ensure_future(ring.run())
        for _ in range(10):
            await asyncio.sleep(0)
        background.cancel()
        assert self.used_at(world) == [world.clock.now()]

    async def test_uses_in_memory_are_bounded(self, world: World) -> None:
        ring = KeyRing(world.clock, world.keys, evolve(world.options, size_max=1))
        for text in (await world.issue(), await world.issue()):
            await ring.principal(text)
        await ring.close()
        assert self.used_at(world) == [world.clock.now(), None]

    async def test_keys_that_end_soon_are_counted_until_they_end(self, world: World, ring: KeyRing) -> None:
        for lifetime in (None, EXPIRY_NOTICE, EXPIRY_NOTICE + TICK):
            await ring.principal(await world.issue(lifetime))
        assert ring.expiring() == 1
        world.clock.advance(EXPIRY_NOTICE)
        assert ring.expiring() == 0

    async def test_without_the_common_time_their_number_is_unknown(self, world: World) -> None:
        assert KeyRing(UnknownTime(), world.keys).expiring() is None


class UnknownTime(ManualClock):
    def now(self) -> datetime:
        raise StorageUnavailable
