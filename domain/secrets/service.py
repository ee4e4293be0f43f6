"""The use cases of secrets: store, read without the value, list and remove."""

from collections.abc import Awaitable, Sequence
from typing import TypeVar

from attrs import define, field, frozen

from domain.audit import ActName, Actor, new_act
from domain.clock import Clock, IdGenerator
from domain.concurrency.budget import Budget
from domain.errors import FieldTooLarge, InvalidRequest, Problem, StorageUnavailable, commit_unknown
from domain.functions.ports import FunctionLookup, FunctionRepository
from domain.grants.secrets import NAME_RULE, is_secret_name
from domain.identity import Owner
from domain.scripts.language import LanguageTitle
from domain.secrets.ports import Sealer, SecretRepository
from domain.secrets.secret import (
    VALUE_SIZE_MAX,
    VALUE_SIZE_MIN,
    FunctionLimit,
    SealedSecret,
    SecretNotFound,
    SecretRef,
    StoredSecret,
    without_key,
)

Result = TypeVar("Result")


@frozen
class FunctionName:
    """A function as a caller names it."""

    owner: Owner
    language_title: LanguageTitle
    version: int | None = None


@frozen
class SecretRequest:
    """A value to store, and the functions to which it is limited; None is no limit."""

    value: str = field(repr=False)
    functions: tuple[FunctionName, ...] | None = None


@frozen
class SecretPolicy:
    """The time for a call in seconds, and the secrets that an owner may have."""

    request_timeout_s: float
    owner_max: int = 100


@define(eq=False)
class SecretService:
    """The use cases of secrets. Every method may raise StorageUnavailable or Overloaded. No method returns a value."""

    _clock: Clock
    _ids: IdGenerator
    _secrets: SecretRepository
    _functions: FunctionRepository
    _sealer: Sealer | None
    _policy: SecretPolicy

    def is_openable(self, secret: StoredSecret) -> bool:
        """Return whether the installation has the key that sealed the secret."""
        return self._sealer is not None and secret.key_id in self._sealer.key_ids

    async def put(self, ref: SecretRef, request: SecretRequest, actor: Actor) -> StoredSecret:
        """Store a value as the next version of a secret.

        Raises InvalidRequest, FieldTooLarge, SecretsUnavailable, QuotaReached, SecretConflict, FunctionNotFound or
        FunctionVersionNotFound.
        """
        sealer = self._sealer
        if sealer is None:
            raise without_key()
        _require(ref.name, request.value)
        limits = await self._limits(request.functions)
        now, act = self._clock.now(), new_act(self._clock, self._ids, actor, ActName.SECRETS_SET)

        def change(stored: StoredSecret | None) -> SealedSecret:
            version = 1 if stored is None else stored.version + 1
            sealed = sealer.seal(ref, version, request.value)
            return SealedSecret(StoredSecret(ref, version, sealed.key_id, now, actor.name, limits), sealed)

        return await self._write(self._secrets.put(ref, change, self._policy.owner_max, act))

    async def get(self, ref: SecretRef) -> StoredSecret:
        """Return what is known of a secret; raises SecretNotFound."""
        found = await self._read(self._secrets.read([ref]))
        if ref not in found:
            raise SecretNotFound(ref.name)
        return found[ref].secret

    async def list(self, owner: Owner) -> Sequence[StoredSecret]:
        """Return the secrets of an owner by name."""
        return await self._read(self._secrets.page(owner))

    async def remove(self, ref: SecretRef, actor: Actor) -> None:
        """Remove a secret; raises SecretNotFound."""
        act = new_act(self._clock, self._ids, actor, ActName.SECRETS_DELETE)
        await self._write(self._secrets.remove(ref, act))

    async def _limits(self, names: tuple[FunctionName, ...] | None) -> tuple[FunctionLimit, ...] | None:
        return None if names is None else tuple([await self._limit(name) for name in names])

    async def _limit(self, name: FunctionName) -> FunctionLimit:
        lookup = FunctionLookup.exact(name.owner, name.language_title, name.version)
        function = (await self._read(self._functions.find(lookup))).require_registered()
        return FunctionLimit(function.function_id, name.owner, name.language_title, name.version)

    async def _read(self, work: Awaitable[Result]) -> Result:
        return await Budget(self._policy.request_timeout_s).spend(work, StorageUnavailable)

    async def _write(self, work: Awaitable[Result]) -> Result:
        return await Budget(self._policy.request_timeout_s).spend(work, commit_unknown)


def _require(name: str, value: str) -> None:
    if not is_secret_name(name):
        raise InvalidRequest((Problem("/path/secret_name", NAME_RULE),))  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter
    size = len(value.encode())
    if size > VALUE_SIZE_MAX:
        raise FieldTooLarge("/value", VALUE_SIZE_MAX, size)
    if size < VALUE_SIZE_MIN:
        problem = f"has {size} bytes; the least is {VALUE_SIZE_MIN}, because shorter values cannot be redacted"
        raise InvalidRequest((Problem("/value", problem),))  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter
