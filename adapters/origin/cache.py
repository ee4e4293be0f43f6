"""The Redis of the origin's first generation. It needs the package `redis`, which the extra `takeover` installs."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self
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
    WatchError,
)
from typing_extensions import override

from domain.concurrency.pipeline import divided
from domain.takeover.cache_ports import OriginCache
from domain.takeover.cached import KEY_PREFIX
from domain.takeover.source import REDIS, AddressRefused, SourceRefused, SourceUnavailable

_TIMEOUT_S = 5.0
_CONNECTIONS_MAX = 16
_KEYS_MAX = 500
_SCAN_COUNT = 1000
_PART_BYTES_MAX = 8 * 1024 * 1024
_VALUE_BYTES_MAX = 64 * 1024 * 1024
_PROBE = f"{KEY_PREFIX}takeover-probe".encode()
"""A key that no session has."""

_EXACT = "surrogateescape"
"""Keeps bytes that are no UTF-8, so that a value is compared as it is."""

_URL_REMEDY = (
    "Set --redis or TAKEOVER_REDIS_URL to redis://user:password@host:6379/0, to rediss:// for TLS, or to "
    "unix:///path/to/socket, with the special characters of the password percent-encoded."
)
_LOGIN_REMEDY = "Correct the user and the password in --redis or TAKEOVER_REDIS_URL."
_RIGHTS_REMEDY = (
    "Let the user run STRLEN, PTTL, MGET and SCAN to read, and WATCH, MULTI, EXEC, DEL and SET to move: "
    "ACL SETUSER name ~session:* +@read +@write +@transaction +@connection."
)
_REPLICA_REMEDY = "Name the primary with --redis. Only plan, copy and verify can use a replica."
_LARGE_REMEDY = "Delete the key: the origin reads the session from its table then."


@define(eq=False)
class RedisOriginCache(OriginCache):
    """Reads and writes up to 500 keys and about 8 MiB at once, each time within 5 s, with commands of Redis 2.8."""

    _redis: Any
    _shown: str

    @classmethod
    @asynccontextmanager
    async def connected(cls, url: str) -> AsyncIterator[Self]:
        """Yield the cache at a URL, to which it connects when that is needed; raises SourceRefused."""
        cache = cls(_client(url), _without_password(url))
        try:
            yield cache
        finally:
            await cache._redis.aclose()

    @override
    async def get(self, ids: Sequence[str]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for part in divided(ids, lambda _: 0, _KEYS_MAX, _PART_BYTES_MAX):
            with self._translated():
                found |= await self._read(part)
        return found

    @override
    async def require_writable(self) -> None:
        with self._translated():
            async with self._redis.pipeline(transaction=True) as pipeline:
                await pipeline.watch(_PROBE)
                pipeline.multi()
                pipeline.delete(_PROBE)
                pipeline.set(_PROBE, b"", xx=True, ex=1)  # only if it were there
                await pipeline.execute()

    @override
    async def remove(self, values: Mapping[str, str]) -> Sequence[str]:
        changed: list[str] = []
        for part in _divided_values(values):
            with self._translated():
                changed += await self._remove(dict(part))
        return changed

    @override
    async def put(self, values: Mapping[str, str], lives_s: Mapping[str, int]) -> None:
        for part in _divided_values(values):
            with self._translated():
                async with self._redis.pipeline(transaction=False) as pipeline:
                    for each, value in part:
                        pipeline.set(_key(each), value.encode(errors=_EXACT), ex=lives_s[each])
                    await pipeline.execute()

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

    async def _read(self, ids: Sequence[str]) -> Mapping[str, str]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for each in ids:
                pipeline.strlen(_key(each))
            sizes = await pipeline.execute(raise_on_error=False)
        found: dict[str, str] = {}
        for part in divided(_sized(ids, sizes), lambda item: item[1], _KEYS_MAX, _PART_BYTES_MAX):
            values = await self._redis.mget([_key(each) for each, _ in part])
            pairs = zip(part, values, strict=True)
            found |= {each: value.decode(errors=_EXACT) for (each, _), value in pairs if value is not None}
        return found

    async def _remove(self, values: Mapping[str, str]) -> Sequence[str]:
        """Remove values in one transaction, which a change of one of them meanwhile prevents."""
        keys = [_key(each) for each in values]
        async with self._redis.pipeline(transaction=True) as pipeline:
            await pipeline.watch(*keys)
            found = dict(zip(values, await pipeline.mget(keys), strict=True))
            wanted = {each: value.encode(errors=_EXACT) for each, value in values.items()}
            same = [each for each in values if found[each] == wanted[each]]
            pipeline.multi()
            if same:
                pipeline.delete(*(_key(each) for each in same))
            try:
                await pipeline.execute()
            except WatchError:
                return list(values)
        return [each for each in values if found[each] not in (None, wanted[each])]

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
        raise AddressRefused("The address of the origin's Redis is no URL of a Redis.", remedy=_URL_REMEDY) from None


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


def _divided_values(values: Mapping[str, str]) -> Iterator[Sequence[tuple[str, str]]]:
    """Yield values by id that are together small enough for an exchange."""
    return divided(values.items(), lambda item: len(item[1]), _KEYS_MAX, _PART_BYTES_MAX)
