"""Sends one message at a time, without trust in the receiver."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

import httpcore2
import httpx2
import structlog
from attrs import define, field, frozen
from typing_extensions import override

from adapters.webhooks.network import BoundedNetwork, PublicNetwork
from domain.webhooks.address import AddressPolicy
from domain.webhooks.delivery import ANSWER_SIZE_MAX, Reply
from domain.webhooks.ports import Sender

_log = structlog.get_logger(__name__)

_ABORT = "abort-message"
_RETRY_AFTER_DIGITS_MAX = 9
_FAILURES = (
    httpx2.HTTPError,
    httpx2.InvalidURL,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.TimeoutException,
    OSError,
)
"""What connections, servers and URLs cause."""


@frozen
class SenderOptions:
    """The limits of one message: the time for the head of the response, and for its body, in seconds.

    If `proxy` is set, it resolves and judges names in place of this process.
    """

    addresses: AddressPolicy = field(factory=AddressPolicy)
    timeout_s: float = 15.0
    body_timeout_s: float = 2.0
    answer_size_max: int = 64 * 1024
    connections_max: int = 64
    proxy: str | None = None
    user_agent: str = "pglambda-webhooks/1"


class PoolTransport(httpx2.AsyncBaseTransport):
    """A transport of httpx2 over a pool of connections."""

    def __init__(self, pool: httpcore2.AsyncConnectionPool) -> None:
        self._pool = pool

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        assert isinstance(request.stream, httpx2.AsyncByteStream)
        url = request.url
        target = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        response = await self._pool.handle_async_request(
            httpcore2.Request(
                request.method,
                target,
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        assert not isinstance(response.stream, bytes)
        stream = _ResponseStream(response.stream)  # type: ignore[arg-type]  # the pool is asynchronous
        return httpx2.Response(response.status, headers=response.headers, stream=stream, extensions=response.extensions)

    @override
    async def aclose(self) -> None:
        await self._pool.aclose()


class _ResponseStream(httpx2.AsyncByteStream):
    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    @override
    async def aclose(self) -> None:
        await self._stream.aclose()  # type: ignore[attr-defined]  # those of httpcore2 have it


@define(eq=False)
class HttpSender(Sender):
    """POSTs messages. It follows no redirect, keeps no cookie, and reads nothing from the environment.

    It uses a transport and no client of httpx2: a client parses where redirects lead, and cookies.
    """

    _options: SenderOptions
    _network: httpcore2.AsyncNetworkBackend | None = None
    _tls: ssl.SSLContext | None = None
    _transport: httpx2.AsyncBaseTransport | None = field(init=False, default=None)

    @override
    async def send(self, url: str, headers: Mapping[str, str], payload: bytes) -> Reply:
        problem = self._options.addresses.problem_of_url(url)
        if problem is not None:
            return Reply(error=f"the URL {problem}")
        try:
            return await self._post(url, headers, payload)
        except TimeoutError:
            return Reply(error=f"the receiver did not respond within {self._options.timeout_s:g} s")
        except _FAILURES as error:
            return Reply(error=_reason(error))
        except Exception as error:  # noqa: BLE001  # the log has it
            # Libraries parse what strangers send. A message that is not recorded as attempted would be sent for ever.
            _log.exception("webhook_attempt_failed")
            return Reply(error=_reason(error))

    async def close(self) -> None:
        """Close the connections."""
        if self._transport is not None:
            await self._transport.aclose()

    async def _post(self, url: str, headers: Mapping[str, str], payload: bytes) -> Reply:
        sent = {"content-type": "application/json", "user-agent": self._options.user_agent, **headers}
        limits = httpx2.Timeout(self._options.timeout_s).as_dict()
        request = httpx2.Request("POST", url, content=payload, headers=sent, extensions={"timeout": limits})
        async with asyncio.timeout(self._options.timeout_s):
            response = await self._opened().handle_async_request(request)
        try:
            answer = await self._answer(response)
        finally:
            await response.aclose()
        aborts = response.headers.get("webhook-delivery", "").strip().lower() == _ABORT
        return Reply(response.status_code, None, answer, _retry_after(response), aborts)

    async def _answer(self, response: httpx2.Response) -> str:
        """Return the begin of the body. The status decides, so a body that breaks off or never ends is no failure."""
        body = bytearray()
        with contextlib.suppress(TimeoutError, *_FAILURES):
            async with asyncio.timeout(self._options.body_timeout_s):
                async for part in response.aiter_raw():
                    body += part
                    if len(body) >= self._options.answer_size_max:
                        break
        return _storable(body[: 4 * ANSWER_SIZE_MAX].decode(errors="replace"))

    def _opened(self) -> httpx2.AsyncBaseTransport:
        # Made once, because a new TLS context would block the event loop for too long.
        if self._transport is None:
            self._transport = PoolTransport(self._pool())
        return self._transport

    def _pool(self) -> httpcore2.AsyncConnectionPool:
        tls, connections_max = self._tls or httpx2.create_ssl_context(), self._options.connections_max
        # A connection that is kept would outlive the judgement of its address.
        kept_max = 0
        if self._options.proxy is None:
            network = self._network or PublicNetwork(self._options.addresses)
            return httpcore2.AsyncConnectionPool(tls, None, connections_max, kept_max, network_backend=network)
        proxy = httpx2.Proxy(self._options.proxy)
        return httpcore2.AsyncHTTPProxy(
            str(proxy.url),
            proxy.raw_auth,
            None,
            tls,
            max_connections=connections_max,
            max_keepalive_connections=kept_max,
            network_backend=self._network or BoundedNetwork(),
        )


def _retry_after(response: httpx2.Response) -> timedelta | None:
    """Return the pause in seconds that the receiver wants; a date is ignored, because clocks differ."""
    text = response.headers.get("retry-after", "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > _RETRY_AFTER_DIGITS_MAX:
        return None
    return timedelta(seconds=int(text))


def _reason(error: Exception) -> str:
    """Return what failed in one line; the text of the library is for people."""
    text = _storable(" ".join(str(error).split()))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _storable(text: str) -> str:
    """Return the begin of a text, without the character that PostgreSQL does not store."""
    return text.replace("\0", "\ufffd")[:ANSWER_SIZE_MAX]
