"""Answers that are sent before the body of their request has come."""

import asyncio
import contextlib

from starlette.types import Receive, Scope, Send

from entrypoints.http.answer import Answer

_SIZE_MAX = 16 * 1024 * 1024
_TIMEOUT_S = 2.0


async def send_ahead(answer: Answer, scope: Scope, receive: Receive, send: Send, timeout_s: float = _TIMEOUT_S) -> None:
    """Send the answer, then let the client finish its body, within bounds; nothing of it is kept.

    Hanging up on a client that still sends resets the connection, and most clients lose the answer with it.
    """
    await answer.send(send, last=False)
    if not _waits_to_be_asked(scope):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await _discard(receive)
    await send({"type": "http.response.body", "body": b""})


def _waits_to_be_asked(scope: Scope) -> bool:
    return any(name == b"expect" for name, _ in scope["headers"])


async def _discard(receive: Receive) -> None:
    left, more = _SIZE_MAX, True
    while more and left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        more = message.get("more_body", False)
