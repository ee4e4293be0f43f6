"""Work that goes on beside requests, whatever happens to it."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

Work = Callable[[], Awaitable[None]]

_PAUSE_S = 1.0

_log = structlog.get_logger(__name__)


async def keep_going(work: Work, pause_s: float = _PAUSE_S) -> None:
    """Do the work to its end; where a bug ends it, tell of that and begin anew after a pause.

    A clock, a cleanup or a limit that stood still until the next start would be found out far too late.
    """
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001  # whatever it is, the log has it, and the work goes on
            _log.exception("background_work_failed", work=getattr(work, "__qualname__", repr(work)))
            await asyncio.sleep(pause_s)
        else:
            return
