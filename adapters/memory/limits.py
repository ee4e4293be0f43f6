"""Rates and usage of owners in memory."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from attrs import define, field
from typing_extensions import override

from adapters.memory.store import MemoryStore
from adapters.memory.webhooks import MemoryWebhookStore
from domain.identity import Owner
from domain.limits.ports import (
    OwnerHoldings,
    OwnerUsage,
    RateCharge,
    RateStore,
    ReservationChange,
    ReservationStore,
    UsageReader,
)
from domain.limits.reservation import Reserved
from domain.scripts.report import ScriptReport
from domain.sessions.session import Status


@define(eq=False)
class MemoryRateStore(RateStore):
    """Stores rates in a dict; while `failure` is set, every call raises it."""

    examined_max: int = 1000
    full_at: dict[tuple[Owner, str], datetime] = field(factory=dict)
    failure: Exception | None = None

    @override
    async def settle(self, charges: Sequence[RateCharge]) -> Sequence[datetime]:
        self._require_available()
        for charge in charges:
            key = charge.owner, charge.policy
            self.full_at[key] = max(self.full_at.get(key, charge.first_at), charge.first_at) + charge.spent
        return [self.full_at[charge.owner, charge.policy] for charge in charges]

    @override
    async def balances(self, owners: Sequence[Owner]) -> Mapping[tuple[Owner, str], datetime]:
        self._require_available()
        return {key: instant for key, instant in self.full_at.items() if key[0] in owners}

    @override
    async def forget(self, full_before: datetime, after: tuple[Owner, str] | None) -> tuple[Owner, str] | None:
        self._require_available()
        examined = sorted(key for key in self.full_at if after is None or key > after)[: self.examined_max]
        for key in examined:
            if self.full_at[key] < full_before:
                del self.full_at[key]
        return examined[-1] if len(examined) == self.examined_max else None

    def _require_available(self) -> None:
        if self.failure is not None:
            raise self.failure


@define(eq=False)
class MemoryReservationStore(ReservationStore):
    """Stores what is reserved in a dict; while `failure` is set, every call raises it."""

    reserved: dict[tuple[Owner, str], Reserved] = field(factory=dict)
    failure: Exception | None = None

    @override
    async def reserve(self, changes: Sequence[ReservationChange]) -> Sequence[Reserved]:
        if self.failure is not None:
            raise self.failure
        for change in changes:
            key = change.owner, change.limit
            if key not in self.reserved or self.reserved[key].version == change.proposal.replaced:
                self.reserved[key] = change.proposal.reserved
        return [self.reserved[change.owner, change.limit] for change in changes]


@define(eq=False)
class MemoryUsageReader(UsageReader):
    """Counts the objects of the fake repositories."""

    _store: MemoryStore
    examined_max: int = 1000
    _webhooks: MemoryWebhookStore = field(factory=MemoryWebhookStore)

    @override
    async def usage(
        self, owners: Sequence[Owner], now: datetime, examined_max: int | None = None
    ) -> Sequence[OwnerUsage]:
        self._store.require_available()
        rows_max = self.examined_max if examined_max is None else examined_max
        return [self._usage(owner, now, rows_max) for owner in owners]

    @override
    async def open_executions(self, owners: Sequence[Owner], now: datetime) -> Sequence[int]:
        self._store.require_available()
        count = Counter(each.ref.owner for each in self._store.open_executions.values() if each.deadline_at > now)
        return [count[owner] for owner in owners]

    @override
    async def holdings(self, owners: Sequence[Owner], queued_max: int) -> Sequence[OwnerHoldings]:
        self._store.require_available()
        schedules = Counter(each.owner for each in self._store.schedules.values())
        webhooks = Counter(each.owner for each in self._webhooks.webhooks.values())
        queued = Counter(self._store.accepted[each].entry.ref.owner for each in self._store.queued)
        return [OwnerHoldings(schedules[each], webhooks[each], min(queued[each], queued_max)) for each in owners]

    def _usage(self, owner: Owner, now: datetime, examined_max: int) -> OwnerUsage:
        own = sorted(
            (session for session in self._store.sessions.values() if session.ref.owner == owner),
            key=lambda session: session.ref.session_id,
            reverse=True,
        )[:examined_max]
        states = self._store.states
        scripts = [self._store.scripts.get(session.ref.session_id) for session in own]
        later = [each for each in self._store.accepted.values() if each.key[0] == owner][-examined_max:]
        sent = [each for each in self._webhooks.deliveries.values() if each.owner == owner][-examined_max:]
        return OwnerUsage(
            sum(session.status(now) is Status.ACTIVE and not session.hidden for session in own),
            sum(len(session.context) + len(session.metadata) for session in own)
            + sum(len(script.source) for script in scripts if script is not None)
            + sum(len(states[each.ref.session_id].text) for each in own if each.ref.session_id in states)
            + sum(each.entry.size + _response_size(each.report) for each in later)
            + sum(len(each.payload) for each in sent),
            complete=max(len(own), len(later), len(sent)) < examined_max,
        )


def _response_size(report: ScriptReport | None) -> int:
    return 0 if report is None or report.result is None else len(report.result)
