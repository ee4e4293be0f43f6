"""The contract of OriginCache."""

from abc import ABC, abstractmethod

from domain.takeover.cache_ports import OriginCache

MANY = [f"{number:08d}" for number in range(1100)]


class OriginCacheContract(ABC):
    """Tests of a cache that is empty but for what `put` puts into it, with a time to live of an hour."""

    @abstractmethod
    async def put(self, session_id: str, value: str) -> None: ...

    async def test_values_are_found_by_id(self, cache: OriginCache) -> None:
        await self.put("a", '{"é": 1}')
        await self.put("b", "{}")
        assert await cache.get(["a", "b", "c"]) == {"a": '{"é": 1}', "b": "{}"}
        assert await cache.get(["a"]) == {"a": '{"é": 1}'}

    async def test_a_value_that_is_removed_is_gone(self, cache: OriginCache) -> None:
        await self.put("a", "1")
        assert await cache.remove({"a": "1", "c": "1"}) == []
        assert await cache.get(["a"]) == {}

    async def test_the_question_whether_writes_work_changes_nothing(self, cache: OriginCache) -> None:
        await self.put("a", "1")
        await cache.require_writable()
        assert [page async for page in cache.ids()] == [["a"]]

    async def test_a_value_that_has_changed_stays(self, cache: OriginCache) -> None:
        await self.put("a", "1")
        await self.put("b", "2")
        assert await cache.remove({"a": "1", "b": "1"}) == ["b"]
        assert await cache.get(["a", "b"]) == {"b": "2"}

    async def test_values_are_stored_in_place_of_others(self, cache: OriginCache) -> None:
        await self.put("a", "1")
        await cache.put({"a": '{"é": 2}', "b": "3"}, {"a": 60, "b": 1})
        assert await cache.get(["a", "b"]) == {"a": '{"é": 2}', "b": "3"}

    async def test_no_ids_are_no_question(self, cache: OriginCache) -> None:
        await cache.put({}, {})
        assert (await cache.get([]), await cache.remove({})) == ({}, [])

    async def test_many_values_are_stored_read_and_removed(self, cache: OriginCache) -> None:
        values = {each: each for each in MANY}
        await cache.put(values, dict.fromkeys(MANY, 60))
        assert await cache.get(MANY) == values
        assert await cache.remove(values) == []
        assert await cache.get(MANY) == {}

    async def test_all_ids_are_found_and_counted(self, cache: OriginCache) -> None:
        for each in MANY:
            await self.put(each, each)
        assert {each async for page in cache.ids() for each in page} == set(MANY)
        assert (await cache.count(5000), await cache.count(10)) == (1100, 10)
