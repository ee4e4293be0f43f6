"""Keeps a runtime host registered at a controller, over HTTP."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx2
import msgspec
import structlog
from attrs import define, field, frozen

from adapters.runtime_protocol import RegisterRequest
from domain.hosts.host import REGISTERED_EVERY_S, HostState

_TRIED_WITHIN_S = 2.0
"""For each controller; with that of the next one a registration still comes within HELD_FOR."""
_AGAIN_AFTER_S = 1.0
"""While the host is not registered: controllers may start after it."""
_REPLY_SIZE_MAX = 4096
_REASON_LENGTH = 500
_NO_CONTENT = 204
_CLIENT_ERRORS = range(400, 500)
_NO_ROUTE = 404
_DISCARD_PORT = 9

_log = structlog.get_logger(__name__)


@frozen
class RegistrarOptions:
    """The controllers, `http://host:port` or `https://host:port`, the token, and the host as controllers see it.

    Without a `url` that is `http://` with `port`, at the address from which this host reaches the controller. `ca_file`
    has the certificates that verify controllers; None means those of the system.
    """

    controllers: Sequence[str]
    token: str = field(repr=False)
    name: str
    url: str | None
    port: int
    release: str
    ca_file: Path | None = None
    every_s: float = REGISTERED_EVERY_S
    again_after_s: float = _AGAIN_AFTER_S


@frozen
class Offer:
    """What a host runs now."""

    languages: Sequence[str]
    runs_max: int


class _RegistrationRefused(Exception):
    """The controller replied, and the next one would say the same."""


@define(eq=False)
class HostRegistrar:
    """Registers at the first controller that takes it: at the start, every `every_s`, when it drains and at the end.

    A controller that cannot be reached or is not available is passed over, and the next round begins with the one that
    replied last. The host runs scripts whether it is registered or not: `problem` says why it is not, and the log has
    each change.
    """

    _options: RegistrarOptions
    _offer: Callable[[], Offer]
    boot_id: UUID = field(factory=uuid4)
    state: HostState = field(default=HostState.READY, init=False)
    problem: str | None = field(default="not registered yet", init=False)
    url: str | None = field(default=None, init=False)
    """The URL that was sent last."""
    _client: httpx2.AsyncClient | None = field(default=None, init=False)
    _changed: asyncio.Event = field(factory=asyncio.Event, init=False)
    _first: int = field(default=0, init=False)

    async def run(self) -> None:
        """Register for ever."""
        options = self._options
        while True:
            self._changed.clear()
            await self.register()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(options.every_s if self.problem is None else options.again_after_s):
                    await self._changed.wait()

    def leave(self) -> None:
        """Let controllers know soon that the host starts no more scripts."""
        self.state = HostState.DRAINING
        self._changed.set()

    async def end(self) -> None:
        """Let controllers know that the host has ended. If none takes that, they find out when they use it."""
        self.state = HostState.ENDED
        await self.register()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def register(self) -> None:
        """Register once."""
        known = self.problem
        try:
            self.problem = await self._register_at_first()
        except _RegistrationRefused as refused:
            self.problem = str(refused)
        if self.problem is None and known is not None:
            _log.info("host_registered", name=self._options.name, url=self.url)
        elif self.problem is not None and self.problem != known:
            _log.warning("host_not_registered", name=self._options.name, reason=self.problem)

    async def _register_at_first(self) -> str | None:
        """Try each controller, and return why none has taken it; None if one has. Raises _RegistrationRefused."""
        controllers, problems = self._options.controllers, []
        for offset in range(len(controllers)):
            at = (self._first + offset) % len(controllers)
            problem = await self._register_at(controllers[at])
            if problem is None:
                self._first = at
                return None
            problems.append(f"{controllers[at]}: {problem}")
        return "; ".join(problems)

    async def _register_at(self, controller: str) -> str | None:
        try:
            async with asyncio.timeout(_TRIED_WITHIN_S):
                self.url = self._options.url or await _url_towards(controller, self._options.port)
                return await self._put(controller)
        except TimeoutError:
            return f"no reply within {_TRIED_WITHIN_S:g} s"
        except (httpx2.HTTPError, OSError) as error:
            return f"{type(error).__name__}: {error}"

    async def _put(self, controller: str) -> str | None:
        url = f"{controller}/runtime-hosts/{self._options.name}"
        async with self._opened().stream("PUT", url, content=self._body()) as reply:
            if reply.status_code == _NO_CONTENT:
                return None
            reason = f"{reply.status_code} {await _begin_of(reply)}"
        if reply.status_code in _CLIENT_ERRORS and reply.status_code != _NO_ROUTE:
            raise _RegistrationRefused(f"{controller}: {reason}")
        return reason

    def _opened(self) -> httpx2.AsyncClient:
        if self._client is None:
            headers = {"Authorization": f"Bearer {self._options.token}", "Content-Type": "application/json"}
            verified = ssl.create_default_context(cafile=self._options.ca_file)
            self._client = httpx2.AsyncClient(
                headers=headers, trust_env=False, timeout=_TRIED_WITHIN_S, verify=verified
            )
        return self._client

    def _body(self) -> bytes:
        offer = self._offer()
        return msgspec.json.encode(
            RegisterRequest(
                boot_id=self.boot_id,
                url=self.url or "",
                languages=list(offer.languages),
                runs_max=offer.runs_max,
                release=self._options.release,
                state=self.state,
            )
        )


async def _url_towards(controller: str, port: int) -> str:
    """Return the URL at this host's address, as its packets to the controller have it. Nothing is sent."""
    parts = urlsplit(controller)
    found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, parts.port or 0, type=socket.SOCK_DGRAM)
    family, _, _, _, address = found[0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((address[0], _DISCARD_PORT))
        own = str(probe.getsockname()[0])
    return f"http://[{own}]:{port}" if family == socket.AF_INET6 else f"http://{own}:{port}"  # IPv6


async def _begin_of(reply: httpx2.Response) -> str:
    """Return the message of an error, or the begin of another body."""
    content = b""
    async for part in reply.aiter_raw():
        content += part
        if len(content) >= _REPLY_SIZE_MAX:
            break
    with contextlib.suppress(msgspec.MsgspecError, TypeError, KeyError):
        return str(msgspec.json.decode(content)["error"]["message"])[:_REASON_LENGTH]
    return content[:_REASON_LENGTH].decode(errors="replace")
