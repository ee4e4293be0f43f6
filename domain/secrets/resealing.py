"""Sealing stored secrets anew: by another key, or for another owner."""

from collections.abc import AsyncIterator, Callable

from attrs import define, frozen

from domain.audit import Act
from domain.identity import EVERY_OWNER, Owner
from domain.secrets.ports import Sealer, SecretRepository
from domain.secrets.secret import Sealed, SealedSecret, SecretRef, key_is_absent, without_key

_BATCH_MAX = 100
"""Secrets in one statement."""


@frozen
class ResealStep:
    """One bounded step: the secrets examined, and those that were sealed anew."""

    examined: int
    changed: int


@define(eq=False)
class Resealing:
    """Seals secrets anew, in small steps beside a running service; completed steps stay when it is stopped.

    Every method may raise StorageUnavailable, or SecretsUnavailable for a row that does not open.
    """

    _secrets: SecretRepository
    _sealer: Sealer | None

    async def count(self, owner: Owner = EVERY_OWNER) -> int:
        """Return how many secrets there are."""
        return sum((await self._secrets.key_counts(owner)).values())

    async def outdated(self) -> int:
        """Return how many secrets another key than the first one has sealed."""
        counts, key_id = await self._secrets.key_counts(EVERY_OWNER), self._require_sealer().key_ids[0]
        return sum(number for each, number in counts.items() if each != key_id)

    async def require_keys(self, owner: Owner = EVERY_OWNER) -> None:
        """Raise SecretsUnavailable unless the keys of all secrets are set."""
        counts = await self._secrets.key_counts(owner)
        if not counts:
            return
        sealer = self._require_sealer()
        for key_id in counts:
            if key_id not in sealer.key_ids:
                raise key_is_absent(key_id)

    async def rotate(self, act: Act) -> AsyncIterator[ResealStep]:
        """Seal by the first key what others have sealed; nothing is changed unless the keys of all secrets are set.

        A secret that is stored at the same time stays as it is stored.
        """
        await self.require_keys()
        sealer = self._require_sealer()
        first = sealer.key_ids[0]

        def resealed(row: SealedSecret, sealed: Sealed) -> SealedSecret:
            return row.resealed(sealed)

        async for step in self._steps(EVERY_OWNER, first, resealed, act, None, first):
            yield step

    async def move(self, source: Owner, target: Owner, act: Act) -> AsyncIterator[ResealStep]:
        """Seal the secrets of an owner for another one, step by step; one whose name the other has stays."""
        await self.require_keys(source)

        def moved(row: SealedSecret, sealed: Sealed) -> SealedSecret:
            return row.moved(target, sealed)

        async for step in self._steps(source, None, moved, act, target, target):
            yield step

    async def _steps(  # noqa: PLR0913, PLR0917  # what is read, and what becomes of it
        self,
        owner: Owner,
        except_key: str | None,
        change: Callable[[SealedSecret, Sealed], SealedSecret],
        act: Act,
        target: Owner | None,
        subject: str,
    ) -> AsyncIterator[ResealStep]:
        after: SecretRef | None = None
        while rows := await self._secrets.sealed(owner, except_key, after, _BATCH_MAX):
            pairs = [(row, change(row, self._sealed_anew(row, target))) for row in rows]
            recorded_owner = None if owner == EVERY_OWNER else owner
            yield ResealStep(len(rows), await self._secrets.reseal(pairs, act, recorded_owner, subject))
            after = rows[-1].secret.ref

    def _sealed_anew(self, row: SealedSecret, target: Owner | None) -> Sealed:
        sealer, ref, version = self._require_sealer(), row.secret.ref, row.secret.version
        value = sealer.open(ref, version, row.sealed)
        return sealer.seal(ref if target is None else SecretRef(target, ref.name), version, value)

    def _require_sealer(self) -> Sealer:
        if self._sealer is None:
            raise without_key()
        return self._sealer
