"""The values of secrets that scripts get: opened, kept for a moment, and their uses counted."""

import contextlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from attrs import define, field, frozen

from domain.clock import Clock
from domain.concurrency.background_tasks import DemandLoop
from domain.errors import DomainError, Unavailable
from domain.grants.ports import Pin
from domain.identity import Owner
from domain.secrets.ports import Sealer, SecretRepository, SecretUses
from domain.secrets.redaction import Redaction
from domain.secrets.secret import SealedSecret, SecretNotFound, SecretRef, SecretsUnavailable, StoredSecret, without_key

KEPT_S = 5.0
"""How long an opened value is kept: a change may take so long to count everywhere."""

UNOPENED_SHOWN = timedelta(minutes=10)
"""How long health shows that a secret did not open."""

_KEPT_SIZE_MAX = 64 * 1024 * 1024
_SPELLED = 24
"""A secret takes about so many times its size, because its redaction has all of its spellings."""

_Wanted = tuple[Owner, tuple[str, ...]]


@frozen
class GivenSecrets:
    """Values by name, for one execution, with their versions and their redaction."""

    values: Mapping[str, str] = field(repr=False)
    versions: Mapping[str, int]
    redaction: Redaction = field(repr=False)


@frozen
class _Opened:
    secrets: tuple[StoredSecret, ...]
    given: GivenSecrets = field(repr=False)
    until: datetime

    @property
    def size(self) -> int:
        return _SPELLED * sum(map(len, self.given.values.values()))


@define
class SecretStats:
    """Counts since the start of the process: values that executions have got, and why others got none."""

    given: int = 0
    refused: dict[str, int] = field(factory=dict)
    """By the code of the error."""
    unopened: tuple[datetime, str] | None = None
    """When a secret did not open last, and why."""


@define(eq=False)
class SecretValues:
    """Gives executions the values of their secrets, and counts the uses until they are recorded.

    Methods raise SecretNotFound, SecretNotAllowed, SecretsUnavailable, StorageUnavailable or Overloaded.
    """

    _clock: Clock
    _secrets: SecretRepository
    _sealer: Sealer | None
    stats: SecretStats = field(factory=SecretStats, init=False)
    _opened: dict[_Wanted, _Opened] = field(factory=dict, init=False)
    """In the order in which they were read, and so of their ends."""
    _opened_size: int = field(default=0, init=False)
    _uses: dict[SecretRef, SecretUses] = field(factory=dict, init=False)
    _tidying: DemandLoop = field(factory=DemandLoop, init=False)

    async def require(self, owner: Owner, names: tuple[str, ...], pin: Pin | None) -> None:
        """Check that a session of the owner, pinned to this version, may have the secrets, and that they open."""
        await self._allowed(owner, names, pin)

    async def give(self, owner: Owner, names: tuple[str, ...], pin: Pin | None) -> GivenSecrets:
        """Return the values for an execution, which uses each of them."""
        try:
            opened = await self._allowed(owner, names, pin)
        except DomainError as error:
            self._count(error)
            raise
        now = self._clock.now()
        for secret in opened.secrets:
            used = self._uses.get(secret.ref)
            self._uses[secret.ref] = SecretUses(1 if used is None else used.count + 1, now)
        self.stats.given += len(opened.secrets)
        return opened.given

    @property
    def unopened_reason(self) -> str | None:
        """Why a secret did not open, if that was within UNOPENED_SHOWN."""
        at, reason = self.stats.unopened or (None, None)
        return reason if at is not None and self._clock.now() - at < UNOPENED_SHOWN else None

    async def run(self) -> None:
        """Record uses, and forget values that were kept for long enough, for ever."""
        await self._tidying.run(self._tidy)

    async def record_uses(self) -> None:
        """Record the uses since the last record; raises StorageUnavailable or Overloaded, and drops them then."""
        uses, self._uses = self._uses, {}
        await self._secrets.record_uses(uses)

    async def close(self) -> None:
        """Record the uses that are left, if the database responds."""
        with contextlib.suppress(Unavailable):
            await self.record_uses()

    def debug_snapshot(self) -> Mapping[str, int]:
        """Return how many values are kept, and how many uses are not recorded."""
        kept = sum(len(opened.secrets) for opened in self._opened.values())
        return {"kept": kept, "unrecorded": sum(each.count for each in self._uses.values())}

    def _count(self, error: DomainError) -> None:
        self.stats.refused[error.code] = self.stats.refused.get(error.code, 0) + 1
        if isinstance(error, SecretsUnavailable):
            self.stats.unopened = self._clock.now(), error.message

    async def _allowed(self, owner: Owner, names: tuple[str, ...], pin: Pin | None) -> _Opened:
        opened = await self._open(owner, names)
        for secret in opened.secrets:
            secret.require_pin(pin)
        return opened

    async def _open(self, owner: Owner, names: tuple[str, ...]) -> _Opened:
        self._forget()
        kept = self._opened.get((owner, names))
        if kept is not None:
            return kept
        if self._sealer is None:
            raise without_key()
        refs = [SecretRef(owner, name) for name in names]
        stored = await self._secrets.read(refs)
        opened = self._opened_of([_found(stored, ref) for ref in refs], self._sealer)
        self._drop((owner, names))
        self._opened[owner, names] = opened
        self._opened_size += opened.size
        self._forget()
        self._tidying.request()
        return opened

    def _opened_of(self, rows: list[SealedSecret], sealer: Sealer) -> _Opened:
        values = {row.secret.ref.name: sealer.open(row.secret.ref, row.secret.version, row.sealed) for row in rows}
        versions = {row.secret.ref.name: row.secret.version for row in rows}
        given = GivenSecrets(values, versions, Redaction.of(values))
        return _Opened(tuple(row.secret for row in rows), given, self._clock.now() + timedelta(seconds=KEPT_S))

    def _forget(self) -> None:
        """Forget what was kept for long enough, and the oldest of too much."""
        now = self._clock.now()
        while self._opened:
            oldest = next(iter(self._opened))
            if now < self._opened[oldest].until and self._opened_size <= _KEPT_SIZE_MAX:
                return
            self._drop(oldest)

    def _drop(self, wanted: _Wanted) -> None:
        dropped = self._opened.pop(wanted, None)
        self._opened_size -= 0 if dropped is None else dropped.size

    async def _tidy(self) -> float:
        self._tidying.clear()
        await self.close()
        with contextlib.suppress(Unavailable):
            self._forget()
        if self._opened or self._uses:
            self._tidying.request()
        return KEPT_S


def _found(stored: Mapping[SecretRef, SealedSecret], ref: SecretRef) -> SealedSecret:
    if ref not in stored:
        raise SecretNotFound(ref.name)
    return stored[ref]
