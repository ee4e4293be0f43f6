"""The Redis of the origin's first generation. It needs the package `redis`, which the extra `takeover` installs."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from attrs import define
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from typing_extensions import override

from domain.takeover.cache_ports import OriginCache
from domain.takeover.cached import KEY_PREFIX
from domain.takeover.source import REDIS, SourceRefused, SourceUnavailable

Item = TypeVar("Item")

_TIMEOUT_S = 5.0
_CONNECTIONS_MAX = 16
_KEYS_MAX = 500
_SCAN_COUNT = 1000
_PART_BYTES_MAX = 8 * 1024 * 1024
_VALUE_BYTES_MAX = 64 * 1024 * 1024
_EXACT = "surrogateescape"
"""Keeps bytes that are no UTF-8, so that a value is compared as it is."""

_URL_REMEDY = (
    "Set --redis or TAKEOVER_REDIS_URL to redis://user:password@host:6379/0, to rediss:// for TLS, or to "
    "unix:///path/to/socket, with the special characters of the password percent-encoded."
)
_LOGIN_REMEDY = "Correct the user and the password in --redis or TAKEOVER_REDIS_URL."
_RIGHTS_REMEDY = (
    "Let the user run STRLEN, PTTL, MGET and SCAN to read, and MULTI, EXEC and DEL to move: "
    "ACL SETUSER name ~session:* +@read +@write +@transaction +@connection."
)
_REPLICA_REMEDY = "Name the primary with --redis. Only plan, copy and verify can use a replica."
_LARGE_REMEDY = "Delete the key: the origin reads the session from its table then."


@define(eq=False)
class RedisOriginCache(OriginCache):
    """Reads and removes up to 500 keys and about 8 MiB at once, each time within 5 s, with commands of Redis 2.8."""

    _redis: Any
    _shown: str

    @classmethod
    @asynccontextmanager
    async def connected(cls, url: str) -> AsyncIterator[Self]:
        """Connect to a URL, and yield the cache; raises SourceUnavailable or SourceRefused."""
        cache = cls(_client(url), _without_password(url))
        try:
            with cache._translated():
                await cache._redis.ping()
            yield cache
        finally:
            await cache._redis.aclose()

    @override
    async def get(self, ids: Sequence[str]) -> Mapping[str, str]:
        return await self._exchanged(ids, removes=False)

    @override
    async def take(self, ids: Sequence[str]) -> Mapping[str, str]:
        return await self._exchanged(ids, removes=True)

    @override
    async def ids(self) -> AsyncIterator[Sequence[str]]:
        cursor = None
        while cursor != 0:
            with self._translated():
                cursor, keys = await self._redis.scan(cursor or 0, match=f"{KEY_PREFIX}*", count=_SCAN_COUNT)
            if keys:
                yield [key.decode(errors=_EXACT).removeprefix(KEY_PREFIX) for key in keys]

    @override
    async def count(self, keys_max: int) -> int:
        found = 0
        async for page in self.ids():
            with self._translated():
                found += await self._limited(page)
            if found >= keys_max:
                break
        return min(found, keys_max)

    async def _exchanged(self, ids: Sequence[str], *, removes: bool) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for asked in _parts(ids, lambda _: 0):
            with self._translated():
                sizes = await self._sizes(asked)
                for part in _parts(_sized(asked, sizes), lambda item: item[1]):
                    found |= await self._values([each for each, _ in part], removes=removes)
        return found

    async def _sizes(self, ids: Sequence[str]) -> Sequence[Any]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for each in ids:
                pipeline.strlen(_key(each))
            sizes: Sequence[Any] = await pipeline.execute(raise_on_error=False)
            return sizes

    async def _values(self, ids: Sequence[str], *, removes: bool) -> Mapping[str, str]:
        """Read values. A read and its removal are one transaction, so that no write comes between."""
        keys = [_key(each) for each in ids]
        async with self._redis.pipeline(transaction=removes) as pipeline:
            pipeline.mget(keys)
            if removes:
                pipeline.delete(*keys)
            values = (await pipeline.execute())[0]
        pairs = zip(ids, values, strict=True)
        return {each: value.decode(errors=_EXACT) for each, value in pairs if value is not None}

    async def _limited(self, ids: Sequence[str]) -> int:
        """Return how many of the keys have a time to live."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for each in ids:
                pipeline.pttl(_key(each))
            return sum(ttl_ms > 0 for ttl_ms in await pipeline.execute())

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (RedisError, OSError) as error:
            raise _failure(error, self._shown) from error


def _client(url: str) -> Any:
    try:
        return Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            # A connection that the server has closed meanwhile fails once; every command may be repeated.
            retry=Retry(NoBackoff(), 1),
            max_connections=_CONNECTIONS_MAX,
            protocol=2,
        )
    except (ValueError, TypeError):
        # The error of the library may quote the URL, which may have a password.
        raise SourceRefused("The address of the origin's Redis is no URL of a Redis.", remedy=_URL_REMEDY) from None


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or parts.path


def _failure(error: Exception, shown: str) -> SourceRefused | SourceUnavailable:
    text = " ".join(str(error).split()).rstrip(".")
    server = f"The Redis of the origin at {shown}"
    if isinstance(error, AuthenticationError | AuthenticationWrongNumberOfArgsError | AuthorizationError):
        return SourceRefused(f"{server} refuses the login.", remedy=_LOGIN_REMEDY)
    if isinstance(error, NoPermissionError):
        return SourceRefused(f"{server} denies this user a right: {text}.", remedy=_RIGHTS_REMEDY)
    if isinstance(error, ReadOnlyError):
        return SourceRefused(f"{server} accepts no writes, because it is a replica.", remedy=_REPLICA_REMEDY)
    if isinstance(error, ResponseError):
        return SourceUnavailable(f"it refuses a command ({text}).", store=REDIS)
    return SourceUnavailable(f"there is no answer from {shown} ({text}).", store=REDIS)


def _key(request_id: str) -> bytes:
    return f"{KEY_PREFIX}{request_id}".encode(errors=_EXACT)


def _sized(ids: Sequence[str], sizes: Sequence[Any]) -> Iterator[tuple[str, int]]:
    """Yield ids with the sizes of their values, but those of other types than text, which are no sessions."""
    for each, size in zip(ids, sizes, strict=True):
        if isinstance(size, ResponseError) and str(size).startswith("WRONGTYPE"):
            continue
        if isinstance(size, Exception):
            raise size
        if size > _VALUE_BYTES_MAX:
            reason = f"The value of the key {KEY_PREFIX}{each} has {size:,} bytes, and {_VALUE_BYTES_MAX:,} are read."
            raise SourceRefused(reason, remedy=_LARGE_REMEDY)
        yield each, size


def _parts(items: Iterable[Item], size_of: Callable[[Item], int]) -> Iterator[Sequence[Item]]:
    """Yield consecutive items that are together small enough for an exchange; a larger one stands alone."""
    part: list[Item] = []
    size_bytes = 0
    for item in items:
        size = size_of(item)
        if part and (len(part) == _KEYS_MAX or size_bytes + size > _PART_BYTES_MAX):
            yield part
            part, size_bytes = [], 0
        part.append(item)
        size_bytes += size
    if part:
        yield part
