"""Limits how often owners may call, and keeps the controllers of one database in step."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice

from attrs import define, field, frozen
from attrs.validators import ge, gt

from domain.clock import Clock, Jitter, MonotonicClock
from domain.concurrency.background_tasks import DemandLoop
from domain.errors import StorageUnavailable, Unavailable
from domain.identity import Owner
from domain.limits.ports import RateCharge, RateStore
from domain.limits.rate import RateDecision, RateLimited, RatePolicy, judge

_NS_PER_US = 1000
_NS_PER_S = 1_000_000_000


@frozen
class RateLimiterOptions:
    """Pauses in seconds; accounts in memory, in one settlement, and examined for idleness after one."""

    settle_pause_s: float = field(default=0.2, validator=gt(0))
    retry_pause_s: float = field(default=1.0, validator=gt(0))
    forget_pause_s: float = field(default=60.0, validator=gt(0))
    accounts_max: int = field(default=20_000, validator=ge(1))
    batch_max: int = field(default=500, validator=ge(1))
    idle_batch_max: int = field(default=1000, validator=ge(1))


@define(eq=False)
class _Account:
    """One owner under one policy, in nanoseconds of this process's monotonic clock.

    `spent_ns` is the cost of the calls since `first_ns` that have not been settled.
    """

    owner: Owner
    policy: RatePolicy
    full_at_ns: int
    first_ns: int = 0
    spent_ns: int = 0


_AccountId = tuple[str, Owner]


@define(eq=False)
class RateLimiter:
    """Judges each call from memory, and settles all owners with the store in the background, in one statement.

    In any t seconds one controller alone admits at most `count` calls plus those refilled during t. Several controllers
    together exceed that by what each of the others admits before it learns of the rest. This is at most what arrives
    during two settlements (one to report, one to learn), and at most `count`. Overshoot is repaid: a controller that
    learns of it rejects calls until the balance recovers. While the store is unavailable, each controller judges alone
    and reports the open balance later. If there are more owners than memory for them, the limiter forgets those that
    called least recently, with their balance.
    """

    _store: RateStore
    _clock: Clock
    _monotonic_ns: MonotonicClock
    _jitter: Jitter
    _options: RateLimiterOptions = field(factory=RateLimiterOptions)
    settlements: int = field(default=0, init=False)
    failures: int = field(default=0, init=False)
    refusals: Counter[str] = field(factory=Counter, init=False)
    """Rejected calls, by policy."""
    _accounts: dict[_AccountId, _Account] = field(factory=dict, init=False)
    """The least recently settled first."""
    _unsettled: dict[_Account, None] = field(factory=dict, init=False)
    _loop: DemandLoop = field(factory=DemandLoop, init=False)
    _forget_at_ns: int = field(default=0, init=False)
    _forgotten_until: tuple[Owner, str] | None = field(default=None, init=False)

    def __len__(self) -> int:
        """Return how many accounts are in memory."""
        return len(self._accounts)

    def debug_snapshot(self) -> dict[str, list[Owner]]:
        """Return the owners in memory, and those that are still to be settled."""
        return {
            "known": [owner for _, owner in self._accounts],
            "unsettled": [account.owner for account in self._unsettled],
        }

    def charge(self, owner: Owner, policy: RatePolicy, cost: int = 1) -> RateDecision:
        """Count a call as `cost` calls under the policy. Raises RateLimited; a rejected call is not counted."""
        now_ns = self._monotonic_ns()
        account = self._accounts.get((policy.name, owner)) or self._opened(owner, policy, now_ns)
        decision = judge(policy, account.full_at_ns, now_ns, cost)
        if account not in self._unsettled:
            account.first_ns = now_ns
            self._unsettled[account] = None
            self._loop.request()
        if not decision.allowed:
            self.refusals[policy.name] += 1
            raise RateLimited(policy, decision, cost)
        account.full_at_ns = decision.full_at_ns
        account.spent_ns += cost * policy.interval_ns
        return decision

    async def run(self) -> None:
        """Settle for ever: at once after a quiet time, else after a pause. Also remove idle owners from the store."""
        self._forget_at_ns = self._next_forgetting_ns()
        await self._loop.run(self._settle_and_forget)

    async def settle(self) -> None:
        """Report to the store what was admitted since the last settlement, and adopt what all controllers admitted.

        Raises StorageUnavailable or Overloaded; unreported charges are kept for the next settlement.
        """
        while self._unsettled:
            await self._settle(list(islice(self._unsettled, self._options.batch_max)))
        self._loop.clear()
        self._drop_idle()

    async def forget_idle(self) -> None:
        """Remove from the store a bounded number of owners whose whole quota is available again."""
        full_before = self._clock.now() - timedelta(seconds=self._options.forget_pause_s)
        self._forgotten_until = await self._store.forget(full_before, self._forgotten_until)

    async def _settle_and_forget(self) -> float:
        """Do both, and return the pause until the next time in seconds."""
        try:
            await self.settle()
            if self._monotonic_ns() >= self._forget_at_ns:
                await self.forget_idle()
                self._forget_at_ns = self._next_forgetting_ns()
        except Unavailable:
            self.failures += 1
            return self._spread_s(self._options.retry_pause_s)
        return self._options.settle_pause_s

    async def _settle(self, accounts: Sequence[_Account]) -> None:
        reported = [(account.first_ns, account.spent_ns) for account in accounts]
        for account in accounts:
            del self._unsettled[account]
            account.spent_ns = 0
        try:
            now, now_ns = self._clock.now(), self._monotonic_ns()
            charges = [
                RateCharge(account.owner, account.policy.name, now + _span(first_ns - now_ns), _span(spent_ns))
                for account, (first_ns, spent_ns) in zip(accounts, reported, strict=True)
            ]
            full_at = await self._store.settle(charges)
        except BaseException as error:
            # A charge that may be stored is not reported again: an owner never pays twice.
            may_be_stored = isinstance(error, StorageUnavailable) and error.stored == "unknown"
            for account, (first_ns, spent_ns) in zip(accounts, reported, strict=True):
                self._restore(account, first_ns, 0 if may_be_stored else spent_ns)
            raise
        for account, instant in zip(accounts, full_at, strict=True):
            self._merge(account, now_ns + _ns(instant - now))
        self.settlements += 1

    def _merge(self, account: _Account, full_at_ns: int) -> None:
        """Take the state of all controllers, and add the calls that were admitted during the settlement."""
        if account.spent_ns:
            full_at_ns = max(full_at_ns, account.first_ns) + account.spent_ns
        account.full_at_ns = full_at_ns
        if self._is_known(account):
            # The account moves to the end, so that idle ones collect at the front.
            account_id = account.policy.name, account.owner
            self._accounts[account_id] = self._accounts.pop(account_id)

    def _is_known(self, account: _Account) -> bool:
        return self._accounts.get((account.policy.name, account.owner)) is account

    def _restore(self, account: _Account, first_ns: int, spent_ns: int) -> None:
        """Put back a charge that was not reported, less what has been refilled since."""
        own_full_ns = first_ns + spent_ns
        if account in self._unsettled:
            own_full_ns = max(own_full_ns, account.first_ns) + account.spent_ns
        now_ns = self._monotonic_ns()
        account.spent_ns = account.spent_ns + spent_ns if own_full_ns > now_ns else 0
        account.first_ns = max(own_full_ns, now_ns) - account.spent_ns
        if self._is_known(account):
            self._unsettled[account] = None

    def _opened(self, owner: Owner, policy: RatePolicy, now_ns: int) -> _Account:
        if len(self._accounts) >= self._options.accounts_max:
            dropped = self._accounts.pop(next(iter(self._accounts)))
            self._unsettled.pop(dropped, None)
        account = _Account(owner, policy, now_ns)
        self._accounts[policy.name, owner] = account
        return account

    def _drop_idle(self) -> None:
        """Drop accounts whose whole quota is available, among those that were settled least recently."""
        now_ns = self._monotonic_ns()
        for account_id, account in list(islice(self._accounts.items(), self._options.idle_batch_max)):
            if account.full_at_ns <= now_ns and account not in self._unsettled:
                del self._accounts[account_id]

    def _next_forgetting_ns(self) -> int:
        return self._monotonic_ns() + int(self._spread_s(self._options.forget_pause_s) * _NS_PER_S)

    def _spread_s(self, pause_s: float) -> float:
        return self._jitter(pause_s / 2, pause_s)


def _span(time_ns: int) -> timedelta:
    """Return the time, rounded up to the microsecond."""
    return timedelta(microseconds=-(-time_ns // _NS_PER_US))


def _ns(span: timedelta) -> int:
    return span // timedelta(microseconds=1) * _NS_PER_US
