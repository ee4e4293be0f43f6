"""The Redis of the origin's first generation. It needs the package `redis`, which the extra `takeover` installs."""

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

import redis.asyncio
from attrs import define
from redis.exceptions import RedisError
from typing_extensions import override

from domain.takeover.cache_ports import OriginCache
from domain.takeover.cached import KEY_PREFIX
from domain.takeover.source import SourceRefused, SourceUnavailable

Answer = TypeVar("Answer")

_TIMEOUT_S = 5.0
_BATCH = 100
"""Keys in one exchange: a value may have megabytes."""
_SCAN_COUNT = 1000


@define(eq=False)
class RedisOriginCache(OriginCache):
    """Reads many keys in one exchange, which takes 5 s at most. Redis 2.8 has every command that it needs."""

    _redis: Any

    @classmethod
    @asynccontextmanager
    async def connected(cls, url: str) -> AsyncIterator[Self]:
        """Connect to a URL, and yield the cache; raises SourceUnavailable or SourceRefused."""
        client = _client(url)
        try:
            await _during(client.ping())
            yield cls(client)
        finally:
            await client.aclose()

    @override
    async def get(self, ids: Sequence[str]) -> Mapping[str, str]:
        return await self._exchanged(ids, removes=False)

    @override
    async def take(self, ids: Sequence[str]) -> Mapping[str, str]:
        return await self._exchanged(ids, removes=True)

    @override
    async def ids(self) -> AsyncIterator[Sequence[str]]:
        cursor = 0
        while True:
            cursor, keys = await _during(self._redis.scan(cursor, match=f"{KEY_PREFIX}*", count=_SCAN_COUNT))
            if keys:
                yield [key.decode(errors="replace").removeprefix(KEY_PREFIX) for key in keys]
            if not cursor:
                return

    @override
    async def count(self, keys_max: int) -> int:
        found = 0
        async for page in self.ids():
            found += await self._limited([f"{KEY_PREFIX}{each}" for each in page])
            if found >= keys_max:
                break
        return min(found, keys_max)

    async def _exchanged(self, ids: Sequence[str], *, removes: bool) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for start in range(0, len(ids), _BATCH):
            found |= await self._batch(ids[start : start + _BATCH], removes=removes)
        return found

    async def _batch(self, ids: Sequence[str], *, removes: bool) -> Mapping[str, str]:
        """Exchange one batch. A read and its removal are one transaction, so that no write comes between."""
        keys = [f"{KEY_PREFIX}{each}" for each in ids]
        async with self._redis.pipeline(transaction=removes) as pipeline:
            pipeline.mget(keys)
            if removes:
                pipeline.delete(*keys)
            values = (await _during(pipeline.execute()))[0]
        pairs = zip(ids, values, strict=True)
        return {each: value.decode(errors="replace") for each, value in pairs if value is not None}

    async def _limited(self, keys: Sequence[str]) -> int:
        """Return how many of the keys have a time to live."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.pttl(key)
            return sum(ttl_ms > 0 for ttl_ms in await _during(pipeline.execute()))


def _client(url: str) -> Any:
    try:
        return redis.asyncio.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
    except ValueError as error:
        # The error may quote the URL, which may have a password.
        raise SourceRefused(
            "The address of the origin's Redis is no URL of a Redis.",
            remedy="Set --redis or TAKEOVER_REDIS_URL to redis://host:6379/0.",
        ) from error


async def _during(call: Awaitable[Answer]) -> Answer:
    try:
        return await call
    except (RedisError, OSError) as error:
        raise SourceUnavailable(f"its Redis failed ({' '.join(str(error).split())}).") from error
