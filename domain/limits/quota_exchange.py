"""Counts owners, and reserves a part of what is free for this process."""

from collections.abc import Callable, Collection, Mapping, Sequence

from attrs import define, field

from domain.clock import Clock, MonotonicClock
from domain.errors import StorageUnavailable, Unavailable
from domain.identity import Owner
from domain.limits.owner_quotas import OwnerQuotas
from domain.limits.ports import ReservationChange, ReservationStore, UsageReader
from domain.limits.reservation import Reservation

_NS_PER_S = 1_000_000_000

_NEVER_S = float("-inf")

_Proposed = tuple[Reservation, ReservationChange]


@define(eq=False)
class QuotaExchange:
    """Two statements for any number of owners: one counts, one stores what is reserved.

    For owners of whom nothing is known, one statement comes before them. It reserves what they would get without rows,
    so that far from a quota their first session needs two statements.

    `new_version` returns a random number above 0.
    """

    _reader: UsageReader
    _store: ReservationStore
    _clock: Clock
    _monotonic_ns: MonotonicClock
    _new_version: Callable[[], int]
    _store_failed_at_s: float = field(default=_NEVER_S, init=False)

    async def __call__(self, quotas: Mapping[Owner, OwnerQuotas]) -> Collection[Owner]:
        """Count and reserve; return the owners for whom it has to be repeated.

        Of these, another process has changed what is reserved since the last exchange. Raises StorageUnavailable or
        Overloaded.
        """
        try:
            rejected = await self._exchange(quotas)
        except Unavailable:
            for each in quotas.values():
                each.failed_at_s = self._own_s()
            raise
        for each in quotas.values():
            each.failed_at_s = _NEVER_S
        return rejected

    def failed_after(self, quotas: OwnerQuotas, instant_s: float) -> bool:
        """Return whether the owner's last exchange, or the last use of the store, failed after an own instant."""
        return max(quotas.failed_at_s, self._store_failed_at_s) > instant_s

    async def _exchange(self, quotas: Mapping[Owner, OwnerQuotas]) -> Collection[Owner]:
        await self._store_all(self._first(quotas, self._clock.now().timestamp()))
        for each in quotas.values():
            each.count_begins()
        usages = await self._reader.usage(list(quotas), self._clock.now())
        now_s, own_s = self._clock.now().timestamp(), self._own_s()
        proposed: list[_Proposed] = []
        for (owner, each), usage in zip(quotas.items(), usages, strict=True):
            each.ahead_s = now_s - own_s
            for name, reservation, counted in each.counted(usage):
                proposal = reservation.propose(counted, now_s, self._new_version())
                if proposal is not None:
                    proposed.append((reservation, ReservationChange(owner, name, proposal)))
        rejected = await self._store_all(proposed)
        for owner, each in quotas.items():
            each.counted_at_s = _NEVER_S if owner in rejected else own_s
        return rejected

    def _first(self, quotas: Mapping[Owner, OwnerQuotas], now_s: float) -> list[_Proposed]:
        proposed: list[_Proposed] = []
        for owner, each in quotas.items():
            for name, reservation in each.reservations.items():
                proposal = reservation.propose_first(now_s, self._new_version())
                if proposal is not None:
                    proposed.append((reservation, ReservationChange(owner, name, proposal)))
        return proposed

    async def _store_all(self, proposed: Sequence[_Proposed]) -> Collection[Owner]:
        """Store the proposals; return the owners of those that were rejected."""
        if not proposed:
            return frozenset()
        try:
            stored = await self._store.reserve([change for _, change in proposed])
        except BaseException as error:
            self._store_failed_at_s = self._own_s()
            is_unknown = not isinstance(error, StorageUnavailable) or error.stored == "unknown"
            for reservation, _ in proposed:
                reservation.fail(is_unknown=is_unknown)
            raise
        self._store_failed_at_s = _NEVER_S
        settled = [(change.owner, each.settle(row)) for (each, change), row in zip(proposed, stored, strict=True)]
        return {owner for owner, is_accepted in settled if not is_accepted}

    def _own_s(self) -> float:
        return self._monotonic_ns() / _NS_PER_S
