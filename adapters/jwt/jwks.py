"""The keys that an issuer of tokens publishes (RFC 7517), refreshed in the background."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

import httpx2
import structlog
from attrs import define, field, frozen

from adapters.jwt.compact import SignedToken, read_object
from adapters.jwt.keys import InvalidKey, VerificationKey, jwk_key
from domain.access.credentials import JwksUnavailable

_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}

_log = structlog.get_logger(__name__)


@frozen
class JwksOptions:
    """Refreshes and their limits; times in seconds.

    - The keys are refreshed every `interval_s`, and after a failure every `retry_s`.
    - A token with an unknown key starts a refresh, at most every `unknown_key_interval_s`, and waits `wait_s` for it.
    """

    interval_s: float = 300.0
    retry_s: float = 5.0
    unknown_key_interval_s: float = 10.0
    wait_s: float = 0.5
    timeout_s: float = 5.0
    size_max: int = 256 * 1024
    keys_max: int = 64


class InvalidKeySet(Exception):
    """The document at the URL is not a key set; the error says why."""


@define(eq=False)
class Jwks:
    """The keys at a URL. A refresh that fails keeps the keys from before."""

    _url: str
    _options: JwksOptions = field(factory=JwksOptions)
    _sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _transport: httpx2.AsyncBaseTransport | None = None
    _keys: tuple[VerificationKey, ...] | None = field(default=None, init=False)
    _document: bytes = field(default=b"", init=False)
    _failure: str | None = field(default=None, init=False)
    _requested_at_s: float = field(default=float("-inf"), init=False)
    _refresh: asyncio.Task[None] | None = field(default=None, init=False)
    _client: httpx2.AsyncClient | None = field(default=None, init=False)
    generation: int = field(default=0, init=False)
    """Increases with every change of the keys."""

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            await self.refresh()
            delay_s = self._options.interval_s if self._failure is None else self._options.retry_s
            await self._sleep(delay_s * random.uniform(0.9, 1.0))  # noqa: S311  # keeps controllers apart

    async def refresh(self) -> None:
        """Fetch the keys once; concurrent calls share one refresh."""
        await asyncio.wait({self._start()})

    async def candidates(self, token: SignedToken) -> Sequence[VerificationKey]:
        """Return the keys that may have signed the token. If there is none, a new one may be published, so refresh.

        Raises JwksUnavailable if no keys were fetched yet.
        """
        found = self._matching(token)
        if not found and (self._is_first_refresh or self._may_refresh()):
            await asyncio.wait({self._start()}, timeout=self._options.wait_s)
            found = self._matching(token)
        if self._keys is None:
            raise JwksUnavailable
        return found

    async def health(self) -> Mapping[str, object]:
        """Return the status and the number of keys."""
        facts: dict[str, object] = {"keys": len(self._keys or ())}
        if self._failure is None:
            return {"status": "ok", **facts}
        return {"status": "degraded", "reason": self._failure, **facts}

    async def close(self) -> None:
        """Cancel a refresh in progress, and close the connection."""
        if self._refresh is not None:
            self._refresh.cancel()
            await asyncio.wait({self._refresh})
        if self._client is not None:
            await self._client.aclose()

    def _start(self) -> asyncio.Task[None]:
        if self._refresh is None:
            self._refresh = asyncio.get_running_loop().create_task(self._fetch())
            self._refresh.add_done_callback(self._refreshed)
        return self._refresh

    @property
    def _is_first_refresh(self) -> bool:
        """Whether the first refresh is in progress, for which every call may wait."""
        return self._keys is None and self._refresh is not None

    def _matching(self, token: SignedToken) -> list[VerificationKey]:
        return [key for key in self._keys or () if key.fits(token)]

    def _may_refresh(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        if now_s < self._requested_at_s + self._options.unknown_key_interval_s:
            return False
        self._requested_at_s = now_s
        return True

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(self._options.timeout_s):
                document = await self._download()
            self._store(document)
        except InvalidKeySet as error:
            self._fail(str(error))
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            self._fail(f"JWT_JWKS_URL cannot be fetched ({type(error).__name__})")

    async def _download(self) -> bytes:
        # Kept, because a new TLS context would block the event loop for too long.
        self._client = self._client or httpx2.AsyncClient(timeout=self._options.timeout_s, transport=self._transport)
        async with self._client.stream("GET", self._url, headers=_HEADERS) as response:
            if response.status_code != httpx2.codes.OK:
                raise InvalidKeySet(f"JWT_JWKS_URL responds with status {response.status_code}")
            document = bytearray()
            async for chunk in response.aiter_raw():
                document += chunk
                if len(document) > self._options.size_max:
                    raise InvalidKeySet(f"JWT_JWKS_URL has more than {self._options.size_max} bytes")
        return bytes(document)

    def _store(self, document: bytes) -> None:
        if document != self._document or self._keys is None:
            self._keys = tuple(_keys_in(document, self._options.keys_max))
            self._document = document
            self.generation += 1
            _log.info("jwks_changed", keys=len(self._keys))
        self._failure = None

    def _fail(self, reason: str) -> None:
        if self._failure != reason:
            _log.warning("jwks_refresh_failed", reason=reason, keys_kept=len(self._keys or ()))
        self._failure = reason

    def _refreshed(self, task: asyncio.Task[None]) -> None:
        self._refresh = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(f"the refresh failed because of a bug ({type(error).__name__})")


def _keys_in(document: bytes, keys_max: int) -> Iterator[VerificationKey]:
    """Yield the usable keys; a key set may contain others (RFC 7517, section 5)."""
    listed = _listed(document)
    if len(listed) > keys_max:
        raise InvalidKeySet(f"JWT_JWKS_URL has more than {keys_max} keys")
    for jwk in listed:
        try:
            if isinstance(jwk, dict):
                yield jwk_key(jwk)
        except InvalidKey as error:
            _log.info("jwks_key_ignored", reason=str(error))


def _listed(document: bytes) -> list[object]:
    try:
        listed = read_object(document).get("keys")
    except (ValueError, RecursionError):
        listed = None
    if not isinstance(listed, list):
        raise InvalidKeySet("JWT_JWKS_URL does not contain a key set")
    return listed
