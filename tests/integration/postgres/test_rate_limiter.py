"""Rate limiters of several controllers on one database."""

import asyncio
import random
import time

from attrs import define, field

from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.repositories.limits import PostgresRateStore
from adapters.postgres.statements.catalogue import Statements
from adapters.system_clock import SystemClock
from domain.identity import Owner
from domain.limits.ports import RateCharge
from domain.limits.rate import RateLimited, RatePolicy
from domain.limits.rate_limiter import RateLimiter, RateLimiterOptions

ALICE, BOB = Owner("alice"), Owner("bob")
POLICY = RatePolicy("execute", 40, 20)
PAUSE_S = 0.02


@define(eq=False)
class TimedStore(PostgresRateStore):
    """Records the longest settlement."""

    slowest_s: float = field(default=0.0, init=False)

    async def settle(self, charges: list[RateCharge]):
        started_s = time.monotonic()
        full_at = await super().settle(charges)
        self.slowest_s = max(self.slowest_s, time.monotonic() - started_s)
        return full_at


@define(eq=False)
class Controller:
    """One process's limiter, and when it admitted calls."""

    limiter: RateLimiter
    store: TimedStore
    admitted_s: list[float] = field(factory=list)

    async def call(self, until_s: float, random_: random.Random) -> None:
        """Call more often than the policy allows, until `until_s`."""
        while time.monotonic() < until_s:
            for owner in (ALICE, BOB):
                try:
                    self.limiter.charge(owner, POLICY)
                except RateLimited:
                    continue
                if owner == ALICE:
                    self.admitted_s.append(time.monotonic())
            await asyncio.sleep(random_.uniform(0, 0.01))


def controller(gateway: Gateway, statements: Statements) -> Controller:
    store = TimedStore(gateway, statements.limits)
    options = RateLimiterOptions(settle_pause_s=PAUSE_S)
    return Controller(RateLimiter(store, SystemClock(), time.monotonic_ns, random.uniform, options), store)


async def test_three_controllers_exceed_a_policy_by_at_most_the_calls_of_two_settlements(
    database_url: str, statements: Statements
):
    gateways = [Gateway(GatewayOptions(database_url, request_timeout_s=10)) for _ in range(3)]
    for gateway in gateways:
        await gateway.open()
    fleet = [controller(gateway, statements) for gateway in gateways]
    running = [asyncio.create_task(each.limiter.run()) for each in fleet]
    try:
        until_s = time.monotonic() + 3.0
        calling = [each.call(until_s, random.Random(i)) for i, each in enumerate(fleet)]
        await asyncio.gather(*calling)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for gateway in gateways:
            await gateway.close()
    # The calls that one controller admits before another learns of them: a pause and a statement to report them, and as
    # much to learn. The last term allows for a late event loop.
    unreported_s = 2 * (PAUSE_S + max(each.store.slowest_s for each in fleet)) + 0.1
    unreported = [most_within(each.admitted_s, unreported_s) for each in fleet]
    excess = sum(unreported) - min(unreported)
    everything = sorted(at_s for each in fleet for at_s in each.admitted_s)
    for first, from_s in enumerate(everything):
        for last in range(first, len(everything)):
            back = (everything[last] - from_s + unreported_s) * POLICY.count / POLICY.window_s
            assert last + 1 - first <= POLICY.count + back + excess
    assert len(everything) >= POLICY.count + 2 * POLICY.count / POLICY.window_s, "the policy is used fully"
    assert all(len(each.admitted_s) > 5 for each in fleet), "every controller admitted calls"
    assert all(each.limiter.settlements > 10 for each in fleet)


def most_within(instants_s: list[float], span_s: float) -> int:
    """Return how many of these lie within the span at most."""
    return max((sum(at_s - span_s < each <= at_s for each in instants_s) for at_s in instants_s), default=0)
