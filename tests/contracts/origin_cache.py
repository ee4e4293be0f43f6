"""The contract of OriginCache."""

from abc import ABC, abstractmethod

from domain.takeover.cache_ports import OriginCache

MANY = [f"{number:08d}" for number in range(250)]


class OriginCacheContract(ABC):
    """Tests of a cache that is empty but for what `put` puts into it, with a time to live of an hour."""

    @abstractmethod
    async def put(self, session_id: str, value: str) -> None: ...

    async def test_values_are_found_by_id(self, cache: OriginCache) -> None:
        await self.put("a", '{"é": 1}')
        await self.put("b", "{}")
        assert await cache.get(["a", "b", "c"]) == {"a": '{"é": 1}', "b": "{}"}
        assert await cache.get(["a"]) == {"a": '{"é": 1}'}

    async def test_a_value_that_is_taken_is_gone(self, cache: OriginCache) -> None:
        await self.put("a", "1")
        assert await cache.take(["a", "c"]) == {"a": "1"}
        assert await cache.take(["a"]) == {}
        assert await cache.get(["a"]) == {}

    async def test_no_ids_are_no_question(self, cache: OriginCache) -> None:
        assert (await cache.get([]), await cache.take([])) == ({}, {})

    async def test_many_values_are_read_and_taken(self, cache: OriginCache) -> None:
        for each in MANY:
            await self.put(each, each)
        assert await cache.get(MANY) == {each: each for each in MANY}
        assert await cache.take(MANY) == {each: each for each in MANY}

    async def test_all_ids_are_found_and_counted(self, cache: OriginCache) -> None:
        for each in MANY:
            await self.put(each, each)
        assert {each async for page in cache.ids() for each in page} == set(MANY)
        assert (await cache.count(1000), await cache.count(10)) == (250, 10)
