"""A run of `adopt` or `back` that kills itself at a transaction: `python -m tests.faults.mortal_mover HERE|THERE STEP ...`.

Each call of a port is a transaction. At an even step 2 n the process dies before the n-th one that writes, at an odd one
after it. At step -1 it lives.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.repositories.session_returns import PostgresReturnStore
from adapters.postgres.repositories.takeover import PostgresTakeoverStore
from adapters.postgres.statements.catalogue import load_statements
from adapters.system_clock import SystemClock
from domain.takeover.claim import Claim
from domain.takeover.fence import Fence
from domain.takeover.mover import SessionMover
from domain.takeover.moving_runs import MoveLimits, MoveRun
from tests.integration.takeover.test_origin_sessions import opened

WRITES = {"take", "fence", "own", "receive", "discard", "close", "restore", "release", "reopen", "divert", "add_late"}


class Mortal:
    """A port that counts the transactions of all ports that write, and dies at one of them."""

    calls = 0

    def __init__(self, port: object, step: int) -> None:
        self._port, self._step = port, step

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._port, name)
        return self._counted(method) if name in WRITES else method

    def _counted(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*given: Any) -> Any:
            number = Mortal.calls
            Mortal.calls += 1
            self._die_at(2 * number)
            found = await method(*given)
            self._die_at(2 * number + 1)
            return found

        return call

    def _die_at(self, step: int) -> None:
        if step == self._step:
            os.kill(os.getpid(), signal.SIGKILL)


async def move(direction: str, step: int, database_url: str, origin_url: str) -> None:
    statements, clock = load_statements(), SystemClock()
    gateway = Gateway(GatewayOptions(database_url, request_timeout_s=10))
    await gateway.open()
    store = Mortal(PostgresTakeoverStore(gateway, statements.takeover), step)
    returns = Mortal(PostgresReturnStore(gateway, statements.session_returns), step)
    takeover = await store.takeover()
    fence = Fence.of(takeover.takeover_id)
    async with opened(origin_url, fence) as rows:
        origin = Mortal(rows, step)
        mover = SessionMover(origin, store, returns, clock, fence)
        claim = Claim(returns, clock, time.monotonic_ns, f"{direction} {os.getpid()}", lambda _: True)
        timing = (clock, time.monotonic_ns, asyncio.sleep)
        limits = MoveLimits(settle_s=0)
        run = MoveRun(mover, origin, store, returns, claim, *timing, lambda *_: None, limits)
        await claim.take()
        await (run.adopt() if direction == "HERE" else run.back())
        await claim.leave()
    await gateway.close()


if __name__ == "__main__":
    asyncio.run(move(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
