"""What happens to a body that is on its way when its request has been answered."""

import asyncio
import contextlib

from starlette.types import Receive

from entrypoints.http.request import Request

_SIZE_MAX = 16 * 1024 * 1024
_TIMEOUT_S = 2.0


async def finish_body(request: Request, timeout_s: float = _TIMEOUT_S) -> None:
    """Let the client finish its body, within bounds; nothing of it is kept.

    Hanging up on a client that still sends resets the connection, and most clients lose the answer with it. One that
    waits to be asked for its body sends none.
    """
    if request.raw_header(b"expect") is None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await _discard(request.receive)


async def _discard(receive: Receive) -> None:
    left, more = _SIZE_MAX, True
    while more and left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        more = message.get("more_body", False)
