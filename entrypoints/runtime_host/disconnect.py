"""Waits that last as long as there is a client to wait for."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

from domain.scripts.ports import ScriptRun, ScriptRunner, Worker
from entrypoints.runtime_host.errors import client_gone

Answer = TypeVar("Answer")


async def acquire_while_connected(runner: ScriptRunner, run: ScriptRun, receive: Receive) -> Worker:
    """Return a worker; leaves the queue and raises Refusal when the client closes the connection first."""
    acquiring = asyncio.ensure_future(runner.acquire(run))
    try:
        return await _while_connected(acquiring, receive)
    except BaseException:
        if acquiring.done() and not acquiring.cancelled() and acquiring.exception() is None:
            await acquiring.result().release()
        raise


async def check_while_connected(checking: Coroutine[Any, Any, Answer], receive: Receive) -> Answer:
    """Return what the check returns; cancels it and raises Refusal when the client closes the connection first."""
    return await _while_connected(asyncio.ensure_future(checking), receive)


async def _while_connected(working: "asyncio.Future[Answer]", receive: Receive) -> Answer:
    """Await the work; when the client leaves, or this is cancelled, cancel the work and wait for its end."""
    leaving = asyncio.ensure_future(_disconnect(receive))
    either: set[asyncio.Future[Any]] = {working, leaving}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        await _withdraw(working)
        raise
    finally:
        gone = leaving.done()
        leaving.cancel()
    if gone:
        await _withdraw(working)
        raise client_gone()
    return working.result()


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _withdraw(working: "asyncio.Future[Answer]") -> None:
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
