"""The wait for a worker, for as long as there is a client to wait for."""

import asyncio

from starlette.types import Receive

from domain.ports import ScriptRun, ScriptRunner, Worker
from entrypoints.host.refusals import client_gone


async def acquire_while_connected(runner: ScriptRunner, run: ScriptRun, receive: Receive) -> Worker:
    """Return a worker; leaves the queue and raises Refusal when the client closes the connection first."""
    acquiring = asyncio.ensure_future(runner.acquire(run))
    leaving = asyncio.ensure_future(_disconnect(receive))
    try:
        await asyncio.wait({acquiring, leaving}, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        await _withdraw(acquiring)
        raise
    finally:
        gone = leaving.done()
        leaving.cancel()
    if gone:
        await _withdraw(acquiring)
        raise client_gone()
    return acquiring.result()


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _withdraw(acquiring: "asyncio.Future[Worker]") -> None:
    acquiring.cancel()
    (worker,) = await asyncio.gather(acquiring, return_exceptions=True)
    if not isinstance(worker, BaseException):
        await worker.release()
