"""From a credential to the caller who shows it."""

from contextlib import nullcontext
from datetime import datetime, timedelta
from uuid import UUID

from attrs import define, field, frozen

from domain.access.api_key import PREFIX, ApiKey, split_key, unknown_key
from domain.access.credentials import CREDENTIAL_SIZE_MAX, CredentialRefused
from domain.access.ports import ApiKeyRepository, TokenVerifier
from domain.access.principal import Principal
from domain.clock import Clock
from domain.concurrency.budget import Budget
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.concurrency.ttl_cache import TtlCache
from domain.errors import Overloaded, StorageUnavailable


@frozen
class KeyMemory:
    """How API keys are remembered: for how long, how many, and what looking one up may take, in seconds.

    A key that was revoked is refused `remembered` later at the latest, and `standing` later where the database does not
    answer meanwhile. At most `strangers_max` are looked up at once of those that were not found within the time
    `familiar`: they may be guesses.
    """

    remembered: timedelta = timedelta(seconds=5)
    standing: timedelta = timedelta(seconds=30)
    familiar: timedelta = timedelta(days=1)
    size_max: int = 10_000
    strangers_max: int = 256
    lookup_timeout_s: float = 0.5


@frozen
class _Finding:
    key: ApiKey
    found_at: datetime


@define
class KeyRing:
    """Knows the holders of API keys without a statement per request.

    Ids that are not kept here are remembered apart, and bounded in number while they are looked up: who guesses keys
    displaces none of those in use, and keeps none of them waiting.
    """

    _clock: Clock
    _keys: ApiKeyRepository
    _memory: KeyMemory = field(factory=KeyMemory)
    _known: TtlCache[str, ApiKey] = field(init=False)
    _unknown: TtlCache[str, bool] = field(init=False)
    _familiar: TtlCache[str, _Finding] = field(init=False)
    _strangers: CapacityLimiter = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._known = TtlCache(self._memory.size_max)
        self._unknown = TtlCache(self._memory.size_max)
        self._familiar = TtlCache(self._memory.size_max)
        self._strangers = CapacityLimiter("the lookup of a key that was not in use", self._memory.strangers_max)

    async def principal(self, text: str) -> Principal:
        """Return who holds this key; raises CredentialRefused, StorageUnavailable or Overloaded."""
        key_id, secret = split_key(text)
        now = self._clock.now()
        key = self._known.get(key_id, now)
        if key is not None:
            return key.admit(secret, now)
        if self._unknown.get(key_id, now):
            raise unknown_key()
        return (await self._learned(key_id, now)).admit(secret, now)

    async def _learned(self, key_id: str, now: datetime) -> ApiKey:
        # What was stored before `now` is seen by the lookup, so that nothing is remembered for longer than said.
        found = self._familiar.get(key_id, now)
        try:
            with self._strangers.hold() if found is None else nullcontext():
                key = await self._looked_up(key_id)
        except (StorageUnavailable, Overloaded):
            if found is not None and now < found.found_at + self._memory.standing:
                return found.key
            raise
        until = now + self._memory.remembered
        if key is None:
            self._unknown.put(key_id, value=True, until=until)
            raise unknown_key()
        self._known.put(key_id, key, until)
        self._familiar.put(key_id, _Finding(key, now), now + self._memory.familiar)
        return key

    async def _looked_up(self, key_id: str) -> ApiKey | None:
        return await Budget(self._memory.lookup_timeout_s).spend(self._keys.find(UUID(key_id)), StorageUnavailable)


@define
class Authentication:
    """Judges what a caller shows: an API key, or a token where there are keys to verify one with."""

    _ring: KeyRing
    _tokens: TokenVerifier | None = None

    async def principal(self, credential: str) -> Principal:
        """Return who is calling.

        Raises CredentialRefused, KeysUnavailable, StorageUnavailable (the common time or the key cannot be read) or
        Overloaded.
        """
        if len(credential) > CREDENTIAL_SIZE_MAX:
            raise CredentialRefused(f"it is longer than {CREDENTIAL_SIZE_MAX} bytes")
        if credential.startswith(PREFIX):
            return await self._ring.principal(credential)
        if self._tokens is None:
            raise CredentialRefused("this server takes API keys alone")
        return await self._tokens.verify(credential)
