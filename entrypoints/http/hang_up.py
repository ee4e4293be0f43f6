"""A call that ends when its client hangs up."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

from entrypoints.http.refusals import ClientGone

Reply = TypeVar("Reply")


async def until_hang_up(receive: Receive, call: Coroutine[Any, Any, Reply]) -> Reply:
    """Await `call`, and cancel it when the client is gone; then raises ClientGone. The body must have been read."""
    caller = asyncio.current_task()
    assert caller is not None
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        caller.cancel()

    watcher = asyncio.create_task(watch())
    try:
        return await call
    except asyncio.CancelledError:
        if not gone:
            raise
        caller.uncancel()
        raise ClientGone from None
    finally:
        watcher.cancel()
