"""Authentication: from a credential to the principal that shows it."""

import contextlib
from datetime import datetime, timedelta
from uuid import UUID

from attrs import define, field, frozen

from domain.access.api_key import PREFIX, ApiKey, split_key, unknown_key
from domain.access.credentials import CREDENTIAL_SIZE_MAX, CredentialRefused
from domain.access.ports import ApiKeyRepository, TokenVerifier
from domain.access.principal import Principal
from domain.clock import Clock
from domain.concurrency.background_tasks import DemandLoop
from domain.concurrency.budget import Budget
from domain.concurrency.fair_turns import SIZE_MIN, FairTurns
from domain.concurrency.ttl_cache import TtlCache
from domain.errors import Overloaded, StorageUnavailable, Unavailable
from domain.identity import ANONYMOUS

USES_RECORDED_S = 60.0
"""Seconds between two records of the uses of API keys."""

_LOOKUP = "the lookup of an API key"


@frozen
class KeyCacheOptions:
    """Bounds of the key cache: times, numbers of keys, and the time for a lookup in seconds.

    A key is used for `fresh` without a lookup; so a revoked key is refused after that time at the latest. While the
    database does not respond, a key is used for up to `stale`. A key that was found within `remembered` is looked up
    without limit. Others may be guesses, so at most `lookups_max` of them are looked up at once. `lookups_waiting_max`
    more wait for that, for as long as a lookup may take.
    """

    fresh: timedelta = timedelta(seconds=5)
    stale: timedelta = timedelta(seconds=30)
    remembered: timedelta = timedelta(days=1)
    size_max: int = 10_000
    lookups_max: int = 256
    lookups_waiting_max: int = 1024
    lookup_timeout_s: float = 0.5


@frozen
class _FoundKey:
    key: ApiKey
    found_at: datetime


@define
class KeyRing:
    """Finds the principals of API keys without a statement for each request.

    Unknown ids have a cache of their own, and the number of their lookups is bounded. So a caller that guesses keys
    neither displaces nor delays keys in use.

    While `run` runs, the uses of keys are recorded in the background; `close` records what is left.
    """

    _clock: Clock
    _keys: ApiKeyRepository
    _options: KeyCacheOptions = field(factory=KeyCacheOptions)
    _fresh: TtlCache[str, ApiKey] = field(init=False)
    _unknown: TtlCache[str, bool] = field(init=False)
    _remembered: TtlCache[str, _FoundKey] = field(init=False)
    _lookups: FairTurns = field(init=False)
    _used_at: dict[str, datetime] = field(factory=dict, init=False)
    _recording: DemandLoop = field(factory=DemandLoop, init=False)
    _expiring: TtlCache[str, bool] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._fresh = TtlCache(self._options.size_max)
        self._unknown = TtlCache(self._options.size_max)
        self._remembered = TtlCache(self._options.size_max)
        self._expiring = TtlCache(self._options.size_max)
        turns_max, waiting_max = self._options.lookups_max, self._options.lookups_waiting_max
        self._lookups = FairTurns(_LOOKUP, turns_max, turns_max, waiting_max * SIZE_MIN)

    async def principal(self, text: str) -> Principal:
        """Return the principal of a key; raises CredentialRefused, StorageUnavailable or Overloaded."""
        key_id, secret = split_key(text)
        now = self._clock.now()
        key = self._fresh.get(key_id, now)
        if key is None:
            if self._unknown.get(key_id, now):
                raise unknown_key()
            key = await self._found(key_id, now)
        principal = key.admit(secret, now)
        self._note_use(key_id, now)
        if principal.expires_at is not None:
            self._expiring.put(key_id, value=True, until=principal.expires_at)
        return principal

    async def run(self) -> None:
        """Record the uses of keys for ever: at once after a quiet time, else after a pause."""
        await self._recording.run(self._record)

    async def record_uses(self) -> None:
        """Record the uses since the last record; raises StorageUnavailable or Overloaded, and keeps them."""
        used_at, self._used_at = self._used_at, {}
        self._recording.clear()
        try:
            await self._keys.record_uses({UUID(key_id): at for key_id, at in used_at.items()})
        except BaseException:
            self._used_at = used_at | self._used_at
            raise

    async def close(self) -> None:
        """Record the uses that are left, if the database responds."""
        with contextlib.suppress(Unavailable):
            await self.record_uses()

    def expiring(self) -> int | None:
        """Return the number of keys that were admitted and end within EXPIRY_NOTICE; None if the time is unknown."""
        try:
            return self._expiring.count(self._clock.now())
        except StorageUnavailable:
            return None

    async def _record(self) -> float:
        await self.close()
        return USES_RECORDED_S

    def _note_use(self, key_id: str, now: datetime) -> None:
        if key_id not in self._used_at:
            if len(self._used_at) >= self._options.size_max:
                return  # later uses are recorded
            self._recording.request()
        self._used_at[key_id] = now

    async def _found(self, key_id: str, now: datetime) -> ApiKey:
        # The lookup sees all writes before `now`, so no key stays in the cache for longer than promised.
        remembered = self._remembered.get(key_id, now)
        try:
            key = await (self._looked_up(key_id) if remembered is not None else self._looked_up_in_turn(key_id))
        except (StorageUnavailable, Overloaded):
            if remembered is not None and now < remembered.found_at + self._options.stale:
                return remembered.key
            raise
        until = now + self._options.fresh
        if key is None:
            self._unknown.put(key_id, value=True, until=until)
            raise unknown_key()
        self._fresh.put(key_id, key, until)
        self._remembered.put(key_id, _FoundKey(key, now), now + self._options.remembered)
        return key

    async def _looked_up_in_turn(self, key_id: str) -> ApiKey | None:
        turn = self._lookups.acquire(ANONYMOUS, 0)
        await Budget(self._options.lookup_timeout_s).spend(turn, lambda: Overloaded(_LOOKUP))
        try:
            return await self._looked_up(key_id)
        finally:
            self._lookups.release(ANONYMOUS)

    async def _looked_up(self, key_id: str) -> ApiKey | None:
        return await Budget(self._options.lookup_timeout_s).spend(self._keys.find(UUID(key_id)), StorageUnavailable)


@define
class Authentication:
    """Verifies credentials: API keys, and signed tokens if there are keys to verify them with."""

    _ring: KeyRing
    _tokens: TokenVerifier | None = None

    async def principal(self, credential: str) -> Principal:
        """Return the caller's principal.

        Raises CredentialRefused, JwksUnavailable, Overloaded, or StorageUnavailable if the common time or the key
        cannot be read.
        """
        if len(credential) > CREDENTIAL_SIZE_MAX:
            raise CredentialRefused(f"it is longer than {CREDENTIAL_SIZE_MAX} bytes")
        if credential.startswith(PREFIX):
            return await self._ring.principal(credential)
        if self._tokens is None:
            raise CredentialRefused("this server accepts only API keys")
        return await self._tokens.verify(credential)
