"""The endpoints of batches."""

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Generic, TypeVar
from uuid import uuid4

from attrs import define, frozen
from msgspec import UNSET, Struct
from structlog.typing import FilteringBoundLogger

from domain.batches import Batch, ItemEnded, run_batch
from domain.concurrency.budget import Budget
from domain.concurrency.fair_turns import FairTurns
from domain.errors import DomainError, Overloaded
from domain.executions.execution import Executed
from domain.executions.service import ExecutionService
from domain.scripts.language import pinned_title
from domain.sessions.ports import Initialized
from domain.sessions.service import SessionService
from entrypoints.http.endpoints.asynchronous import AsynchronousEndpoints, require_no_options
from entrypoints.http.endpoints.sessions import require_grants, session_request
from entrypoints.http.errors import error_content, internal_error_content, status_of
from entrypoints.http.parsing.accept import preferred
from entrypoints.http.parsing.batches import BatchParser
from entrypoints.http.parsing.bodies import json_text
from entrypoints.http.parsing.execution_files import asked_files
from entrypoints.http.parsing.headers import idempotency_key, reject_idempotency_key
from entrypoints.http.parsing.preferences import Preferences
from entrypoints.http.pipeline import InFlightLimiter
from entrypoints.http.request import Request
from entrypoints.http.response import NDJSON, PLAIN, TEXT, Headers, in_one_line
from entrypoints.http.schemas.executions import BatchLine, ExecuteBody
from entrypoints.http.schemas.fields import given
from entrypoints.http.schemas.sessions import InitializeItemBody, InitializeLine
from entrypoints.http.streaming_response import SendLine, StreamEnd, StreamingResponse

BATCH = "the turn of a batch"
"""What a batch waits for."""

_NO_KEYS = "Execute the items one by one, each with a key of its own"
_LATER = Preferences(respond_async=True).applied()  # nobody waits for the items of a batch

Charge = Callable[[Request, int], Awaitable[None]]
"""Counts the items of a batch under the rate limit before any of them begins; raises LimitReached to reject it."""

Item = TypeVar("Item")
Result = TypeVar("Result")


async def charge_nothing(_request: Request, _items: int) -> None:
    """Accept every batch."""


@frozen
class BatchKind(Generic[Item, Result]):
    """One kind of batch: its parser, the call of an item, and the lines of results and of errors.

    `admit` rejects a batch as a whole before any item begins. `keys` says where idempotency keys belong. `headers` are
    those of the response.
    """

    parser: BatchParser[Item]
    admit: Callable[[Request, Batch[Item]], Awaitable[object]]
    call: Callable[[Request, Item], Awaitable[Result]]
    line: Callable[[int, Result], Struct]
    failed: type[BatchLine] | type[InitializeLine]
    keys: str
    headers: Headers = ()


@define(eq=False)
class BatchEndpoints:
    """Make many calls of one kind, and send a line for each item as it ends.

    A batch has one of `turns` from before its body is read until its response has ended, and waits for it up to
    `wait_s`. The stream ends if the client takes nothing for `stall_s`. While the server drains, no further item
    begins.
    """

    _executions: ExecutionService
    _sessions: SessionService
    _asynchronous: AsynchronousEndpoints
    _items_parser: BatchParser[ExecuteBody]
    _sessions_parser: BatchParser[InitializeItemBody]
    _limiter: InFlightLimiter
    _turns: FairTurns
    _log: FilteringBoundLogger
    stall_s: float
    wait_s: float
    _charge: Charge = charge_nothing

    async def execute(self, request: Request) -> StreamingResponse:
        """Execute the script of a session for each item, if it is live: now, or later if the caller prefers that."""
        parser = self._items_parser
        if self._asynchronous.preferences(request).respond_async:
            accept = self._asynchronous.accept_item
            later = BatchKind(parser, self._require_live, accept, BatchLine.accepted, BatchLine, _NO_KEYS, _LATER)
            return await self._respond(request, later)
        now = BatchKind(parser, self._require_executable, self._execute, BatchLine.of, BatchLine, _NO_KEYS)
        return await self._respond(request, now)

    async def initialize(self, request: Request) -> StreamingResponse:
        """Store a session for each item. Without keys the owner must not have reached a quota."""
        kind: BatchKind[InitializeItemBody, Initialized] = BatchKind(
            self._sessions_parser,
            self._require_valid,
            self._initialize,
            InitializeLine.of,
            InitializeLine,
            "Give each item an idempotency_key of its own",
        )
        return await self._respond(request, kind)

    async def _require_live(self, request: Request, _: Batch[ExecuteBody]) -> None:
        await self._sessions.get(request.session_ref)

    async def _require_executable(self, request: Request, batch: Batch[ExecuteBody]) -> None:
        require_no_options({f"/items/{index}": body for index, body in enumerate(batch.items)})
        await self._require_live(request, batch)

    async def _require_valid(self, request: Request, batch: Batch[InitializeItemBody]) -> None:
        """Reject the batch for its header, and over a quota.

        A batch that may be repeated is not rejected over a quota: its items get their first responses.
        """
        if (title := request.header(b"language-title")) is not None:
            pinned_title(title)
        if all(item.idempotency_key is UNSET for item in batch.items):
            await self._sessions.require_capacity(request.owner)

    async def _execute(self, request: Request, body: ExecuteBody) -> Executed:
        return await self._executions.execute(request.session_ref, json_text(body.params), files=asked_files(body))

    async def _initialize(self, request: Request, item: InitializeItemBody) -> Initialized:
        body = item.body
        wanted = session_request(given(item.language_title) or request.header(b"language-title"), body)
        request.caller.require_language(self._sessions.language(wanted))
        require_grants(request.caller, wanted)
        hashed = idempotency_key(given(item.idempotency_key), (wanted.language_title, body))
        return await self._sessions.initialize(request.owner, wanted, hashed)

    async def _respond(self, request: Request, kind: BatchKind[Item, Result]) -> StreamingResponse:
        reject_idempotency_key(request, kind.keys)
        await Budget(self.wait_s).spend(self._turns.acquire(request.owner, 0), lambda: Overloaded(BATCH))
        with contextlib.ExitStack() as turn:
            turn.callback(self._turns.release, request.owner)
            batch = await kind.parser.read(request)
            await self._charge(request, len(batch.items))
            await kind.admit(request, batch)
            return StreamingResponse(
                int(HTTPStatus.OK),
                headers=kind.headers,
                content_type=_media_type(request),
                produce=partial(self._run, request, kind, batch),
                on_end=partial(_end, turn.pop_all()),
                stall_s=self.stall_s,
            )

    async def _run(
        self, request: Request, kind: BatchKind[Item, Result], batch: Batch[Item], send_line: SendLine
    ) -> None:
        async def send_item(ended: ItemEnded[Result]) -> None:
            await send_line(in_one_line(self._line(request, kind, ended)))

        await run_batch(batch, partial(kind.call, request), send_item, lambda: self._limiter.closed)

    def _line(self, request: Request, kind: BatchKind[Item, Result], ended: ItemEnded[Result]) -> Struct:
        if ended.result is not None:
            return kind.line(ended.index, ended.result)
        if isinstance(ended.error, DomainError):
            return kind.failed(ended.index, status_of(ended.error), error=error_content(ended.error))
        error_id = uuid4()
        x_request_id = request.id.decode()
        self._log.error(
            "internal_error", error_id=str(error_id), x_request_id=x_request_id, item=ended.index, exc_info=ended.error
        )
        return kind.failed(ended.index, HTTPStatus.INTERNAL_SERVER_ERROR, error=internal_error_content(error_id))


def _end(turn: contextlib.ExitStack, _: StreamEnd) -> None:
    turn.close()


def _media_type(request: Request) -> bytes:
    """Return the type of the lines: NDJSON, or plain text for a client that prefers that."""
    return TEXT if preferred(request.raw_header(b"accept"), (NDJSON, PLAIN)) == PLAIN else NDJSON
