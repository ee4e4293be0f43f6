"""The endpoint of batches."""

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from uuid import uuid4

from attrs import define
from structlog.typing import FilteringBoundLogger

from domain.concurrency.budget import Budget
from domain.concurrency.fair_turns import FairTurns
from domain.errors import DomainError, Overloaded
from domain.executions.batches import Batch, BatchService, ItemEnded
from domain.sessions.service import SessionService
from entrypoints.http.errors import error_content, internal_error_content, status_of
from entrypoints.http.parsing.batches import BatchParser
from entrypoints.http.parsing.headers import reject_idempotency_key
from entrypoints.http.pipeline import InFlightLimiter
from entrypoints.http.request import Request
from entrypoints.http.response import NDJSON, TEXT, encode_json
from entrypoints.http.schemas.executions import BatchLine
from entrypoints.http.streaming_response import SendLine, StreamingResponse

BATCH = "the turn of a batch"
"""What a batch waits for."""

Charge = Callable[[Request, int], Awaitable[None]]
"""Counts the items of a batch under the rate limit before any of them begins; raises LimitReached to reject it."""


async def charge_nothing(_request: Request, _items: int) -> None:
    """Accept every batch."""


@define(eq=False)
class BatchEndpoints:
    """Execute the script of a session many times, and send a line for each item as it ends.

    A batch has one of `turns` from before its body is read until its response has ended, and waits for it up to
    `wait_s`. The stream ends if the client takes nothing for `stall_s`. While the server drains, no further item
    begins.
    """

    _service: BatchService
    _sessions: SessionService
    _parser: BatchParser
    _limiter: InFlightLimiter
    _turns: FairTurns
    _log: FilteringBoundLogger
    stall_s: float
    wait_s: float
    _charge: Charge = charge_nothing

    async def execute(self, request: Request) -> StreamingResponse:
        """Run the items, if the session is live."""
        reject_idempotency_key(request)
        await Budget(self.wait_s).spend(self._turns.acquire(request.owner, 0), lambda: Overloaded(BATCH))
        with contextlib.ExitStack() as turn:
            turn.callback(self._turns.release, request.owner)
            batch = await self._parser.read(request)
            await self._charge(request, len(batch.items))
            await self._sessions.get(request.session_ref)
            return StreamingResponse(
                int(HTTPStatus.OK),
                content_type=_media_type(request),
                produce=partial(self._run, request, batch),
                on_end=turn.pop_all().close,
                stall_s=self.stall_s,
            )

    async def _run(self, request: Request, batch: Batch, send_line: SendLine) -> None:
        async def send_item(ended: ItemEnded) -> None:
            await send_line(_in_one_line(encode_json(self._line(request, ended))))

        await self._service.run(request.session_ref, batch, send_item, lambda: self._limiter.closed)

    def _line(self, request: Request, ended: ItemEnded) -> BatchLine:
        if ended.executed is not None:
            return BatchLine.of(ended.index, HTTPStatus.OK, ended.executed)
        if isinstance(ended.error, DomainError):
            return BatchLine(ended.index, status_of(ended.error), error=error_content(ended.error))
        error_id = uuid4()
        x_request_id = request.id.decode()
        self._log.error(
            "internal_error", error_id=str(error_id), x_request_id=x_request_id, item=ended.index, exc_info=ended.error
        )
        return BatchLine(ended.index, HTTPStatus.INTERNAL_SERVER_ERROR, error=internal_error_content(error_id))


def _media_type(request: Request) -> bytes:
    """Return the type of the lines: NDJSON, or plain text for a client that accepts that and not NDJSON."""
    accepted = request.raw_header(b"accept") or b""
    return TEXT if b"text/plain" in accepted and NDJSON not in accepted else NDJSON


def _in_one_line(document: bytes) -> bytes:
    """Return JSON without line breaks. They stand between values only: a runtime host may indent its results."""
    return document.replace(b"\n", b" ").replace(b"\r", b" ")
