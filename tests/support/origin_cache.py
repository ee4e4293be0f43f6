"""A cache of the origin that is a dictionary."""

from collections.abc import AsyncIterator, Mapping, Sequence

from attrs import define, field

from domain.takeover.cache_ports import OriginCache


@define
class ManualCache(OriginCache):
    values: dict[str, str] = field(factory=dict)

    async def get(self, ids: Sequence[str]) -> Mapping[str, str]:
        return {each: self.values[each] for each in ids if each in self.values}

    async def take(self, ids: Sequence[str]) -> Mapping[str, str]:
        return {each: self.values.pop(each) for each in ids if each in self.values}

    async def count(self, keys_max: int) -> int:
        return min(len(self.values), keys_max)

    async def ids(self) -> AsyncIterator[Sequence[str]]:
        yield list(self.values)
