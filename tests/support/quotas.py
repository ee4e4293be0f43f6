"""A limiter of sessions and bytes for tests."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import timedelta

from adapters.memory.limits import MemoryReservationStore
from adapters.memory.manual_clock import ManualClock
from domain.identity import Owner
from domain.limits.ports import ReservationStore, UsageReader
from domain.limits.quota_exchange import QuotaExchange
from domain.limits.usage_limiter import UsageLimiter, UsageLimiterOptions, UsagePolicy

new_version = itertools.count(1).__next__
"""Returns another number to each caller in this process, in which a test has all its controllers."""


def limiter_over(
    reader: UsageReader,
    clock: ManualClock,
    policy: UsagePolicy,
    *,
    store: ReservationStore | None = None,
    options: UsageLimiterOptions | None = None,
    calls_here: Callable[[Owner], int] = lambda _: 0,
    sleep: Callable[[float], Awaitable[None]] | None = None,
) -> UsageLimiter:
    """Return a controller's limiter. While a call of it waits, the clock advances, unless `sleep` does something else."""

    async def pass_time(pause_s: float) -> None:
        clock.advance(timedelta(seconds=pause_s))
        await asyncio.sleep(0)

    exchange = QuotaExchange(reader, store or MemoryReservationStore(), clock, clock.monotonic_ns, new_version)
    return UsageLimiter(
        policy,
        exchange,
        reader,
        clock,
        clock.monotonic_ns,
        calls_here,
        sleep or pass_time,
        options or UsageLimiterOptions(),
    )
