"""Passing a request on to the origin, and its reply back to the caller."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

from attrs import define, field
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import override

from domain.concurrency.budget import Budget
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.errors import DomainError, FieldTooLarge
from domain.takeover.passing import (
    REQUEST_SIZE_MAX,
    OriginLoop,
    OriginRequest,
    OriginTimeout,
    OriginUnavailable,
    is_from_front,
    returned_headers,
)
from domain.takeover.ports import OriginClient, OriginReply
from entrypoints.http.errors import SlowBody
from entrypoints.http.request import ClientDisconnected, Request, until_disconnect
from entrypoints.http.response import Relay, Response, discard_body, single_write
from entrypoints.telemetry.metrics.front import FrontMetrics, PassedOutcome

_BODY_TIMEOUT_S = 10.0
_RENEWING_SIZE = 64 * 1024
_ABORT_TIMEOUT_S = 1.0


class Upload(AsyncIterator[bytes]):
    """The body of a request, piece by piece as its client sends it.

    Raises FieldTooLarge for more than `size_max` bytes, SlowBody if each 64 KiB of it take longer than `new_budget`
    gives, and ClientDisconnected. Without that limit few slow clients would hold the places of all calls.
    """

    def __init__(
        self,
        receive: Receive,
        size_max: int = REQUEST_SIZE_MAX,
        new_budget: Callable[[], Budget] = lambda: Budget(_BODY_TIMEOUT_S),
    ) -> None:
        self._receive = receive
        self._size_max = size_max
        self._new_budget = new_budget
        self._budget = new_budget()
        self._size = 0
        self._received: Message | None = None
        self._complete = asyncio.Event()

    @property
    def is_complete(self) -> bool:
        """Whether the last piece was taken."""
        return self._complete.is_set()

    async def whole(self) -> bytes | None:
        """Return the body if it has arrived with the head of the request; None if pieces follow."""
        message = await self._next()
        if message.get("more_body", False):
            self._received = message
            return None
        self._complete.set()
        return self._counted(message)

    async def receive(self) -> Message:
        """Return what the server reports after the body: the end of the connection."""
        await self._complete.wait()
        return await self._receive()

    @override
    async def __anext__(self) -> bytes:
        while not self._complete.is_set():
            message, self._received = self._received or await self._next(), None
            if not message.get("more_body", False):
                self._complete.set()
            if piece := self._counted(message):
                return piece
        raise StopAsyncIteration

    async def _next(self) -> Message:
        message = await self._budget.spend(self._receive(), lambda: SlowBody(_BODY_TIMEOUT_S))
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        return message

    def _counted(self, message: Message) -> bytes:
        piece: bytes = message.get("body", b"")
        if self._size // _RENEWING_SIZE < (self._size + len(piece)) // _RENEWING_SIZE:
            self._budget = self._new_budget()
        self._size += len(piece)
        if self._size > self._size_max:
            raise FieldTooLarge("", self._size_max)
        return piece


@define(eq=False, kw_only=True)
class PassedResponse(Response):
    """The reply of the origin, sent as it is: nothing of this service is added but `Date` and the framing.

    A body that breaks off, or does not end within the budget, ends the client's connection, so that no client takes it
    for complete. `on_end` is called once, however the response ends.
    """

    reply: OriginReply
    upload: Upload
    budget: Budget
    late: Callable[[], OriginTimeout]
    request: Request
    outcome: PassedOutcome = PassedOutcome.DISCONNECTED
    on_end: Callable[[PassedOutcome], None] = field(default=lambda _: None)
    _is_closed: bool = field(default=False, init=False)

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the reply to the end; raises ClientDisconnected."""
        write = single_write(scope)
        assert write is not None, "calls are passed on by a server that sends responses as they are"
        relay = write.relay()
        if relay is None:
            raise ClientDisconnected
        try:
            await self._send(relay, scope, receive)
        finally:
            self.close()

    def close(self) -> None:
        """End the exchange with the origin, without sending what is left of the reply."""
        if not self._is_closed:
            self._is_closed = True
            self.reply.close()
            self.on_end(self.outcome)

    async def _send(self, relay: Relay, scope: Scope, receive: Receive) -> None:
        reply, headers = self.reply, returned_headers(self.reply.headers)
        if reply.body is not None and self.upload.is_complete:
            await relay.send(reply.status, reply.reason, headers, reply.body)
            return
        await relay.start(reply.status, reply.reason, headers, is_last=not self.upload.is_complete)
        try:
            await self.budget.spend(until_disconnect(self.upload.receive, self._stream(relay)), self.late)
        except DomainError as error:  # of the origin, or of the rest of the request
            self.request.error_code, self.outcome = error.code, _outcome(error)
            await _abort(relay, receive)
            return
        self.outcome = PassedOutcome.REPLIED
        if not self.upload.is_complete:
            self.close()
            await discard_body(scope, receive)
        await relay.finish()

    async def _stream(self, relay: Relay) -> None:
        if self.reply.body:
            await relay.write(self.reply.body)
        if self.reply.body is None:
            async for piece in self.reply.pieces():
                await relay.write(piece)


@define(eq=False)
class PassedCalls:
    """Sends requests to the origin, each once and within `timeout_s` in all, with a fair share of calls per owner."""

    _origin: OriginClient
    _calls: CapacityLimiter
    _timeout_s: float
    _metrics: FrontMetrics = field(factory=FrontMetrics)

    async def pass_on(self, request: Request) -> PassedResponse:
        """Return the reply as a response, which must be sent or closed.

        Raises OriginUnavailable, OriginLoop, OriginTimeout, Overloaded, QuotaReached, FieldTooLarge, SlowBody or
        ClientDisconnected.
        """
        if is_from_front(request.scope["headers"]):
            raise OriginLoop
        owner, started_s = request.caller.owner, time.perf_counter()
        self._calls.acquire(owner)
        self._metrics.in_flight = self._calls.in_use
        request.is_passed_on = True

        def end(outcome: PassedOutcome) -> None:
            self._calls.release(owner)
            self._metrics.in_flight = self._calls.in_use
            self._metrics.ended(outcome, time.perf_counter() - started_s)

        try:
            response = await self._response(request)
        except BaseException as error:
            end(_outcome(error))
            raise
        response.on_end = end
        if response.reply.body is not None and response.upload.is_complete:
            response.outcome = PassedOutcome.REPLIED
            response.close()
        return response

    async def _response(self, request: Request) -> PassedResponse:
        upload, budget = Upload(request.receive), Budget(self._timeout_s)
        reply = await budget.spend(self._reply(request, upload), self._late)
        return PassedResponse(
            status=reply.status, reply=reply, upload=upload, budget=budget, late=self._late, request=request
        )

    async def _reply(self, request: Request, upload: Upload) -> OriginReply:
        scope = request.scope
        expects_continue = _has_body(request) and (request.header(b"expect") or "").lower() == "100-continue"
        whole = None if expects_continue else await upload.whole()
        body = upload if whole is None else whole
        sent = OriginRequest(scope["method"].encode(), _target(scope), scope["headers"], body, expects_continue)
        return await until_disconnect(upload.receive, self._origin.send(sent))

    def _late(self) -> OriginTimeout:
        return OriginTimeout(self._timeout_s)


def _has_body(request: Request) -> bool:
    """Return whether a body follows the head; raises FieldTooLarge for one that declares too many bytes."""
    length = int(request.header(b"content-length") or 0)
    if length > REQUEST_SIZE_MAX:
        raise FieldTooLarge("", REQUEST_SIZE_MAX, length)
    return length > 0 or request.header(b"transfer-encoding") is not None


def _outcome(error: BaseException) -> PassedOutcome:
    if isinstance(error, OriginUnavailable):
        return PassedOutcome.REFUSED if error.executed == "no" else PassedOutcome.BROKEN
    return PassedOutcome.LATE if isinstance(error, OriginTimeout) else PassedOutcome.DISCONNECTED


def _target(scope: Scope) -> bytes:
    write = single_write(scope)
    assert write is not None, "calls are passed on by a server that knows their targets"
    return write.target


async def _abort(relay: Relay, receive: Receive) -> None:
    """Close the connection, and wait until the server knows that."""
    relay.abort()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_ABORT_TIMEOUT_S):
            while (await receive())["type"] != "http.disconnect":
                pass
