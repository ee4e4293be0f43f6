"""Limits how often owners may ask, at once by what this process knows, and in step with the other controllers."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import islice

from attrs import define, field, frozen
from attrs.validators import ge, gt

from domain.clock import Clock
from domain.errors import StorageUnavailable, Unavailable
from domain.identity import Owner
from domain.limits.ports import RateCharge, RateStore
from domain.limits.rate import RateLimited, RatePolicy, RateVerdict, judge

_NS_PER_US = 1000


@frozen
class RateLimiterOptions:
    """Bounds: pauses in seconds, accounts in memory, accounts in one settlement, and idle ones looked at after it."""

    settle_pause_s: float = field(default=0.2, validator=gt(0))
    retry_pause_s: float = field(default=1.0, validator=gt(0))
    forget_pause_s: float = field(default=60.0, validator=gt(0))
    accounts_max: int = field(default=20_000, validator=ge(1))
    batch_max: int = field(default=500, validator=ge(1))
    idle_batch_max: int = field(default=1000, validator=ge(1))


@define(eq=False)
class _Account:
    """One owner under one policy, in this process's monotonic time; what is spent since `first_ns` is to be settled."""

    owner: Owner
    policy: RatePolicy
    full_at_ns: int
    first_ns: int = 0
    spent_ns: int = 0


_Key = tuple[str, Owner]


@define(eq=False)
class RateLimiter:
    """Judges every call at once, and settles with a ledger in the background, all owners in one statement.

    In any span of t seconds one controller alone admits at most `count` calls and those that come back in t. Several
    together exceed that by no more than what each of the others admits before it has heard of the rest: what comes to
    it in two settlements (one until it is told, one until it asks), and at most `count`. What was admitted too much is
    paid back: whoever has heard of it admits nobody until it is. While the ledger is away each controller judges alone,
    and tells what is still owed afterwards. Of more owners than there is memory for, those who asked least recently are
    forgotten with what they owe.
    """

    _ledger: RateStore
    _clock: Clock
    _options: RateLimiterOptions = field(factory=RateLimiterOptions)
    _monotonic_ns: Callable[[], int] = time.monotonic_ns
    settlements: int = field(default=0, init=False)
    failures: int = field(default=0, init=False)
    refusals: Counter[str] = field(factory=Counter, init=False)
    """Calls that were refused, by policy."""
    _accounts: dict[_Key, _Account] = field(factory=dict, init=False)
    _to_settle: dict[_Account, None] = field(factory=dict, init=False)
    _asked: asyncio.Event = field(factory=asyncio.Event, init=False)
    _forgotten_until: tuple[Owner, str] | None = field(default=None, init=False)

    def __len__(self) -> int:
        """Return how many accounts are in memory."""
        return len(self._accounts)

    def charge(self, owner: Owner, policy: RatePolicy, cost: int = 1) -> RateVerdict:
        """Count a call as `cost` calls under the policy; raises RateLimited, and then nothing was counted."""
        now_ns = self._monotonic_ns()
        account = self._accounts.get((policy.name, owner)) or self._opened(owner, policy, now_ns)
        verdict = judge(policy, account.full_at_ns, now_ns, cost)
        if account not in self._to_settle:
            account.first_ns = now_ns
            self._to_settle[account] = None
            self._asked.set()
        if not verdict.allowed:
            self.refusals[policy.name] += 1
            raise RateLimited(policy, verdict, cost)
        account.full_at_ns = verdict.full_at_ns
        account.spent_ns += cost * policy.interval_ns
        return verdict

    async def run(self) -> None:
        """Settle for ever: at once after a quiet time, then with a pause between; and clear the ledger of idle owners."""
        forget_at_ns = self._next_forgetting_ns()
        while True:
            await self._asked.wait()
            try:
                await self.settle()
                if self._monotonic_ns() >= forget_at_ns:
                    await self.forget_idle()
                    forget_at_ns = self._next_forgetting_ns()
            except Unavailable:
                self.failures += 1
                await asyncio.sleep(self._spread_s(self._options.retry_pause_s))
            else:
                await asyncio.sleep(self._options.settle_pause_s)

    async def settle(self) -> None:
        """Tell the ledger what was admitted since the last time, and take over what all controllers admitted.

        Raises StorageUnavailable or Overloaded; what could not be told is kept for the next time.
        """
        while self._to_settle:
            await self._settle(list(islice(self._to_settle, self._options.batch_max)))
        self._asked.clear()
        self._drop_idle()

    async def forget_idle(self) -> None:
        """Let the ledger remove a bounded number of owners who have their whole quota again."""
        full_before = self._clock.now() - timedelta(seconds=self._options.forget_pause_s)
        self._forgotten_until = await self._ledger.forget(full_before, self._forgotten_until)

    async def _settle(self, accounts: Sequence[_Account]) -> None:
        told = [(account.first_ns, account.spent_ns) for account in accounts]
        for account in accounts:
            del self._to_settle[account]
            account.spent_ns = 0
        try:
            now, now_ns = self._clock.now(), self._monotonic_ns()
            charges = [
                RateCharge(account.owner, account.policy.name, now + _span(first_ns - now_ns), _span(spent_ns))
                for account, (first_ns, spent_ns) in zip(accounts, told, strict=True)
            ]
            full_at = await self._ledger.settle(charges)
        except BaseException as error:
            # What may be stored is not told again: an owner never pays twice.
            kept = not (isinstance(error, StorageUnavailable) and error.stored == "unknown")
            for account, (first_ns, spent_ns) in zip(accounts, told, strict=True):
                self._keep(account, first_ns, spent_ns if kept else 0)
            raise
        for account, instant in zip(accounts, full_at, strict=True):
            self._take_over(account, now_ns + _ns(instant - now))
        self.settlements += 1

    def _take_over(self, account: _Account, full_at_ns: int) -> None:
        """Begin from what all controllers know, with what came meanwhile on top."""
        if account.spent_ns:
            full_at_ns = max(full_at_ns, account.first_ns) + account.spent_ns
        account.full_at_ns = full_at_ns
        if self._is_known(account):
            # Those who asked last stand last, so that idle ones are found in front.
            key = account.policy.name, account.owner
            self._accounts[key] = self._accounts.pop(key)

    def _is_known(self, account: _Account) -> bool:
        """Whether the account is still in memory."""
        return self._accounts.get((account.policy.name, account.owner)) is account

    def _keep(self, account: _Account, first_ns: int, spent_ns: int) -> None:
        """Put back what could not be told, as far as it has not come back to the owner meanwhile."""
        own_full_ns = first_ns + spent_ns
        if account in self._to_settle:
            own_full_ns = max(own_full_ns, account.first_ns) + account.spent_ns
        now_ns = self._monotonic_ns()
        account.spent_ns = account.spent_ns + spent_ns if own_full_ns > now_ns else 0
        account.first_ns = max(own_full_ns, now_ns) - account.spent_ns
        if self._is_known(account):
            self._to_settle[account] = None

    def _opened(self, owner: Owner, policy: RatePolicy, now_ns: int) -> _Account:
        if len(self._accounts) >= self._options.accounts_max:
            dropped = self._accounts.pop(next(iter(self._accounts)))
            self._to_settle.pop(dropped, None)
        account = _Account(owner, policy, now_ns)
        self._accounts[policy.name, owner] = account
        return account

    def _drop_idle(self) -> None:
        """Drop accounts that are as good as new, among those that asked least recently."""
        now_ns = self._monotonic_ns()
        looked_at = list(islice(self._accounts.items(), self._options.idle_batch_max))
        for key, account in looked_at:
            if account.full_at_ns <= now_ns and account not in self._to_settle:
                del self._accounts[key]

    def _next_forgetting_ns(self) -> int:
        return self._monotonic_ns() + int(self._spread_s(self._options.forget_pause_s) * 1e9)

    def _spread_s(self, pause_s: float) -> float:
        return random.uniform(pause_s / 2, pause_s)  # noqa: S311  # keeps controllers apart


def _span(time_ns: int) -> timedelta:
    """Return the time, rounded up to the microsecond."""
    return timedelta(microseconds=-(-time_ns // _NS_PER_US))


def _ns(span: timedelta) -> int:
    return span // timedelta(microseconds=1) * _NS_PER_US
