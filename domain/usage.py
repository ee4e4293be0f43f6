"""The usage of owners: what they have stored, executed and left of their limits."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Protocol

from attrs import field, frozen

from domain.access.principal import Principal
from domain.clock import Clock
from domain.concurrency.budget import Budget
from domain.concurrency.fair_turns import SIZE_MIN, FairTurns
from domain.errors import Overloaded, StorageUnavailable
from domain.files.ports import FileRepository
from domain.functions.ports import FunctionRepository, FunctionUsage
from domain.identity import EVERY_OWNER, Owner
from domain.limits.ports import OwnerHoldings, OwnerUsage, RateStore, UsageReader
from domain.limits.rate import RatePolicy, judge
from domain.secrets.ports import SecretRepository

USAGE = "the turn of a call for usage"
"""What a call for usage waits for."""

KINDS = 5
"""Of rows that a call examines: sessions, executions that run later, messages to webhooks, functions, and the queue."""

_FIRST = Owner("")
"""Sorts before every owner."""
_MICROSECOND = timedelta(microseconds=1)
_NS_PER_US = 1000


@frozen
class UsedDay:
    """The executions of an owner that were admitted on one day in UTC; the times are sums.

    The connections are those of scripts that have ended on the day, with the bytes that they have sent and received.
    """

    day: date
    executions: int
    failed: int
    unknown: int
    execution_time_ms: float
    cpu_time_ms: float
    connections: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0


class ExecutionCounts(Protocol):
    """Reads what owners have executed, as it was counted from the history in the background.

    Each execution counts once, some time after its end, also if it is purged later. It counts for the owner that its
    session had then. Every method may raise StorageUnavailable or Overloaded.
    """

    async def counted_until(self, owner: Owner = EVERY_OWNER) -> datetime | None:
        """Return the instant of admission until which all executions of an owner have been counted.

        It is None before the first count.
        """
        ...

    async def days(self, owners: Sequence[Owner], since: date) -> Sequence[Sequence[UsedDay]]:
        """Return the days of each owner from `since` on, the oldest first; a day without executions is absent."""
        ...

    async def owners(self, after: Owner, size: int) -> Sequence[Owner]:
        """Return at most `size` owners that have something, in order, behind `after`.

        That is: sessions, functions, schedules, webhooks or counted executions.

        No owner is behind itself, and all owners are behind the empty one.
        """
        ...

    async def in_order(self, owners: Sequence[Owner]) -> Sequence[Owner]:
        """Return these owners in the order in which `owners` returns them, which depends on the database."""
        ...


@frozen
class OwnerPolicy:
    """The quotas of each owner by their names in errors (None is unlimited), rates, and days of the history."""

    quotas: Mapping[str, int | None]
    rates: Sequence[RatePolicy] = ()
    history_days: int = 7


@frozen
class UsageBounds:
    """Bounds of one call: rows that it examines in all, and of one owner and kind; its time in seconds.

    `turns_max` calls read at once, `owner_turns_max` of them for one caller; more wait.
    """

    timeout_s: float
    examined_max: int = 50_000
    owner_examined_max: int = 10_000
    turns_max: int = 4
    owner_turns_max: int = 2
    waiting_max: int = 256

    def examined_of_each(self, owners: int) -> int:
        """Return how many rows of each owner and kind are examined."""
        return min(self.owner_examined_max, self.examined_max // (KINDS * max(1, owners)))


@frozen
class QuotaUse:
    """What an owner has of a limit, and what it may have; None is unlimited."""

    limit: str
    observed: int
    allowed: int | None


@frozen
class OwnerReport:
    """The usage of one owner.

    `rates` are the calls that are left of each rate. The report is not `complete` if the owner may have more sessions,
    functions or queued executions than were examined.
    """

    owner: Owner
    quotas: Sequence[QuotaUse]
    rates: Sequence[tuple[RatePolicy, int]]
    days: Sequence[UsedDay]
    complete: bool


@frozen
class UsagePage:
    """The reports of some owners, in the order of their names, and where the next page begins; None at the end."""

    reports: Sequence[OwnerReport]
    counted_until: datetime | None
    next_after: Owner | None


@frozen
class UsageService:
    """The use case of usage. It reads only, with a bounded cost for each call."""

    _clock: Clock
    _counts: ExecutionCounts
    _sessions: UsageReader
    _functions: FunctionRepository
    _rates: RateStore
    _files: FileRepository
    _secrets: SecretRepository
    _limits: OwnerPolicy
    _bounds: UsageBounds
    _turns: FairTurns = field(init=False)

    @_turns.default
    def _new_turns(self) -> FairTurns:
        bounds = self._bounds
        return FairTurns(USAGE, bounds.turns_max, bounds.owner_turns_max, bounds.waiting_max * SIZE_MIN)

    async def page(self, caller: Principal, owner: Owner, after: Owner | None, size: int) -> UsagePage:
        """Return the usage of an owner, or of at most `size` owners behind `after` for EVERY_OWNER.

        Raises ScopeMissing if the caller may not see it, StorageUnavailable or Overloaded.
        """
        shown, budget = caller.may_list(owner), Budget(self._bounds.timeout_s)
        await budget.spend(self._turns.acquire(caller.owner, 0), lambda: Overloaded(USAGE))
        try:
            return await budget.spend(self._page(caller, shown, after or _FIRST, size), StorageUnavailable)
        finally:
            self._turns.release(caller.owner)

    async def _page(self, caller: Principal, owner: Owner, after: Owner, size: int) -> UsagePage:
        owners: Sequence[Owner] = [owner]
        if owner == EVERY_OWNER:
            owners = await self._counts.owners(after, size + 1)
        shown = owners[:size]
        reports = await self._reports(caller, shown)
        return UsagePage(reports, await self._counts.counted_until(owner), shown[-1] if len(owners) > size else None)

    async def _reports(self, caller: Principal, owners: Sequence[Owner]) -> Sequence[OwnerReport]:
        now, examined_max = self._clock.now(), self._bounds.examined_of_each(len(owners))
        sessions = await self._sessions.usage(owners, now, examined_max)
        calls = await self._sessions.open_executions(owners, now)
        holdings = await self._sessions.holdings(owners, examined_max)
        # Without authentication the caller's functions are shared ones.
        of_functions = [caller.functions_owner if owner == caller.owner else owner for owner in owners]
        functions = await self._functions.usage(of_functions, examined_max)
        full_at = await self._rates.balances(owners) if self._limits.rates else {}
        kept = [await self._kept(owner, now) for owner in owners]
        days = await self._counts.days(owners, now.date() - timedelta(days=self._limits.history_days))
        return [
            OwnerReport(
                owner,
                self._quotas(stored, registered, in_flight, held, others),
                [(policy, _remaining(policy, full_at.get((owner, policy.name)), now)) for policy in self._limits.rates],
                used,
                stored.complete and max(registered.functions, held.queued_executions) < examined_max,
            )
            for owner, stored, in_flight, held, registered, used, others in zip(
                owners, sessions, calls, holdings, functions, days, kept, strict=True
            )
        ]

    async def _kept(self, owner: Owner, now: datetime) -> Mapping[str, int]:
        """Return what an owner has of quotas that are read owner by owner."""
        stored = await self._files.stored_bytes(owner, now)
        return {"stored_file_bytes": stored, "secrets": sum((await self._secrets.key_counts(owner)).values())}

    def _quotas(
        self,
        stored: OwnerUsage,
        registered: FunctionUsage,
        calls: int,
        held: OwnerHoldings,
        kept: Mapping[str, int],
    ) -> Sequence[QuotaUse]:
        observed = {
            "live_sessions": stored.live_sessions,
            "stored_bytes": stored.stored_bytes,
            "functions": registered.functions,
            "function_bytes": registered.stored_bytes,
            "concurrent_calls": calls,
            "queued_executions": held.queued_executions,
            "schedules": held.schedules,
            "webhooks": held.webhooks,
            **kept,
        }
        return [QuotaUse(limit, number, self._limits.quotas.get(limit)) for limit, number in observed.items()]


def _remaining(policy: RatePolicy, full_at: datetime | None, now: datetime) -> int:
    """Return the calls that are left of a rate; None is an owner that has all of them."""
    used_ns = 0 if full_at is None else (full_at - now) // _MICROSECOND * _NS_PER_US
    return judge(policy, used_ns, 0, cost=0).remaining
