"""What a controller does before its first request and after its last, and the work in the background in between."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

import structlog
from attrs import define, field

Step = Callable[[], Awaitable[object]]

_PAUSE_S = 1.0

_log = structlog.get_logger(__name__)


@define(eq=False)
class Lifespan:
    """Runs the steps of each phase in order.

    The steps of `shutdown` run while the background work continues, those of `close` after its end.
    """

    _startup: Sequence[Step]
    _background: Sequence[Step]
    _shutdown: Sequence[Step]
    _close: Sequence[Step]
    _running: list[asyncio.Task[None]] = field(factory=list, init=False)

    async def start(self) -> None:
        """Run the steps of the start, then begin the background work."""
        await _in_order(self._startup)
        self._running = [asyncio.create_task(keep_running(work)) for work in self._background]

    async def end(self) -> None:
        """Run the steps of the shutdown, end the background work, and close what is left."""
        await _in_order(self._shutdown)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await _in_order(self._close)


async def keep_running(work: Step, pause_s: float = _PAUSE_S) -> None:
    """Run the work to its end; if an error ends it, log the error and start it again after a pause.

    Otherwise a clock, a cleanup or a limit would stop until the next start.
    """
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001  # the log has it, and the work starts again
            _log.exception("background_work_failed", work=getattr(work, "__qualname__", repr(work)))
            await asyncio.sleep(pause_s)
        else:
            return


def together(*steps: Step) -> Step:
    """Return a step that runs these steps at the same time."""

    async def run() -> None:
        await asyncio.gather(*(step() for step in steps))

    return run


def bounded(step: Step, timeout_s: float) -> Step:
    """Return a step that is cancelled after `timeout_s`."""

    async def run() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(step(), timeout_s)

    return run


async def _in_order(steps: Sequence[Step]) -> None:
    for step in steps:
        await step()
