"""Endpoints of batches."""

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from uuid import uuid4

from attrs import define
from structlog.typing import FilteringBoundLogger

from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.errors import DomainError, Problem
from domain.executions.batches import Batch, BatchService, ItemEnded
from domain.sessions.service import SessionService
from entrypoints.http.bodies.batch_form import BatchForm
from entrypoints.http.error_responses import status_of, told_of, told_of_bug
from entrypoints.http.errors import invalid
from entrypoints.http.middleware.caller import owner_of, session_key
from entrypoints.http.middleware.in_flight_limiter import InFlightLimiter
from entrypoints.http.payloads.batches import BatchLine
from entrypoints.http.request import Request
from entrypoints.http.response import encoded
from entrypoints.http.streaming_response import SendLine, StreamingResponse

Charge = Callable[[Request, int], Awaitable[None]]
"""Is told how many items a batch has, before any of them is begun; raises LimitReached to refuse it."""


async def charge_nothing(_request: Request, _items: int) -> None:
    """Let every batch pass."""


@define(eq=False)
class BatchEndpoints:
    """Execute a session's script many times, and tell of each as it ends.

    A batch has one of the `places` from before it is read until its answer has ended. A client that takes nothing for
    `stall_s` is hung up on. Once the gate is closed no further item is begun.
    """

    _service: BatchService
    _sessions: SessionService
    _form: BatchForm
    _gate: InFlightLimiter
    _places: CapacityLimiter
    _log: FilteringBoundLogger
    _stall_s: float
    _charge: Charge = charge_nothing

    async def execute(self, request: Request) -> StreamingResponse:
        """Run the items, once the session is known to live."""
        _refuse_idempotency_key(request)
        with contextlib.ExitStack() as place:
            place.enter_context(self._places.hold(owner_of(request)))
            batch = await self._form.read(request)
            await self._charge(request, len(batch.items))
            await self._sessions.get(session_key(request))
            produce, leave = partial(self._run, request, batch), place.pop_all().close
            return StreamingResponse(int(HTTPStatus.OK), produce=produce, ended=leave, stall_s=self._stall_s)

    async def _run(self, request: Request, batch: Batch, send_line: SendLine) -> None:
        async def tell(ended: ItemEnded) -> None:
            await send_line(_in_one_line(encoded(self._line(request, ended))))

        await self._service.run(session_key(request), batch, tell, lambda: self._gate.closed)

    def _line(self, request: Request, ended: ItemEnded) -> BatchLine:
        if ended.executed is not None:
            return BatchLine.of(ended.index, HTTPStatus.OK, ended.executed)
        if isinstance(ended.error, DomainError):
            return BatchLine(ended.index, status_of(ended.error), error=told_of(ended.error))
        error_id = uuid4()
        x_request_id = request.identifier.decode()
        self._log.error(
            "internal_error", error_id=str(error_id), x_request_id=x_request_id, item=ended.index, exc_info=ended.error
        )
        return BatchLine(ended.index, HTTPStatus.INTERNAL_SERVER_ERROR, error=told_of_bug(error_id))


def _in_one_line(document: bytes) -> bytes:
    """Return JSON without line breaks, which stand between values only: a runtime host may write results for people."""
    return document.replace(b"\n", b" ").replace(b"\r", b" ")


def _refuse_idempotency_key(request: Request) -> None:
    if request.header(b"idempotency-key") is not None:
        message = "is for single calls: a batch has none. Execute the items one by one, each with a key of its own."
        raise invalid([Problem("/headers/Idempotency-Key", message)])
