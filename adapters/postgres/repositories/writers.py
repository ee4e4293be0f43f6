"""Waits for statements that may store something of a session which was closed meanwhile."""

import asyncio

from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway

WRITERS_WAIT_S = 2.0
"""Longer than statements of the service last. A transaction that lasts longer is another program's."""

_POLL_S = 0.005


async def writers_gone(gateway: Gateway, select_writers: Statement, wait_s: float) -> None:
    """Wait until the present writers of executions have ended, or for `wait_s`.

    A begin and an accept do not lock the session. So one that found it open may store its row after the session is
    closed, or has another owner.
    """
    loop = asyncio.get_running_loop()
    until_s = loop.time() + wait_s
    left = set(await gateway.fetch(select_writers, {}))
    while left and loop.time() < until_s:
        await asyncio.sleep(_POLL_S)
        left &= set(await gateway.fetch(select_writers, {}))
