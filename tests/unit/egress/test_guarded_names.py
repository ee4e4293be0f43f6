"""What executions bring to their hosts: the service's endpoints by name, and the addresses of the names."""

import asyncio
import contextlib
from collections.abc import Sequence

from attrs import define, field

from adapters.egress.guarded_names import GuardedNames
from adapters.public_addresses import SystemResolver
from tests.support.waiting import until

NAMED = [("db.test", 5432), ("10.0.0.1", 8090), ("o.test", 443), ("db.test", 5432)]


@define
class Lookups:
    """A table of names; one without addresses is unknown."""

    table: dict[str, Sequence[str]] = field(factory=dict)
    asked: list[tuple[str, int]] = field(factory=list)

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        if host not in self.table:
            raise OSError(host)
        return self.table[host]


async def test_names_are_resolved_once_each_and_addresses_are_not():
    lookups = Lookups({"db.test": ["10.0.0.5", "fd00::5"]})
    names = GuardedNames(NAMED, SystemResolver(lookup=lookups))
    assert names.endpoints() == NAMED
    await names.look()
    assert names.endpoints() == [("10.0.0.5", 5432), ("fd00::5", 5432), *NAMED]
    assert sorted(lookups.asked) == [("db.test", 5432), ("o.test", 443)]
    await names.close()


async def test_a_name_follows_its_addresses_and_keeps_the_last_ones_without_any():
    lookups = Lookups({"db.test": ["10.0.0.5"]})
    names = GuardedNames(NAMED[:1], SystemResolver(lookup=lookups), 0.0)
    running = asyncio.ensure_future(names.run())
    await until(lambda: names.endpoints()[0] == ("10.0.0.5", 5432))
    lookups.table["db.test"] = [f"10.0.1.{number}" for number in range(20)]
    await until(lambda: names.endpoints()[0] == ("10.0.1.0", 5432))
    assert len(names.endpoints()) == 17
    for table in ({}, {"db.test": []}):
        lookups.table, count = table, len(lookups.asked)
        await until(lambda count=count: len(lookups.asked) > count + 1)
        assert names.endpoints()[0] == ("10.0.1.0", 5432)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await names.close()
