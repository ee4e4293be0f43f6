"""From a credential to the caller who shows it."""

from datetime import timedelta
from uuid import UUID

from attrs import define, field, frozen

from domain.api_key import PREFIX, ApiKey, split_key, unknown_key
from domain.budget import Budget
from domain.credentials import CREDENTIAL_SIZE_MAX, CredentialRefused
from domain.errors import StorageUnavailable
from domain.ports import ApiKeyRepository, Clock, TokenVerifier
from domain.principal import Principal
from domain.timed_cache import TimedCache


@frozen
class KeyMemory:
    """How API keys are remembered: for how long, how many, and what looking one up may take, in seconds.

    A key that was revoked is refused `remembered` later at the latest.
    """

    remembered: timedelta = timedelta(seconds=5)
    size_max: int = 10_000
    lookup_timeout_s: float = 0.5


@define
class KeyRing:
    """Knows the holders of API keys without a statement per request.

    Ids that are not kept here are remembered apart: who guesses keys displaces none of those in use.
    """

    _clock: Clock
    _keys: ApiKeyRepository
    _memory: KeyMemory = field(factory=KeyMemory)
    _known: TimedCache[str, ApiKey] = field(init=False)
    _unknown: TimedCache[str, bool] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._known = TimedCache(self._memory.size_max)
        self._unknown = TimedCache(self._memory.size_max)

    async def principal(self, text: str) -> Principal:
        """Return who holds this key; raises CredentialRefused, StorageUnavailable or Overloaded."""
        key_id, secret = split_key(text)
        now = self._clock.now()
        key = self._known.get(key_id, now)
        if key is None:
            if self._unknown.get(key_id, now):
                raise unknown_key()
            # What was stored before `now` is seen by the lookup, so that nothing is remembered for longer than said.
            key = await self._look_up(key_id)
            until = now + self._memory.remembered
            if key is None:
                self._unknown.put(key_id, value=True, until=until)
                raise unknown_key()
            self._known.put(key_id, key, until)
        return key.admit(secret, now)

    async def _look_up(self, key_id: str) -> ApiKey | None:
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
