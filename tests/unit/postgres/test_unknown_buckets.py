"""A process that knows no nodes finds buckets, and refuses calls from then on."""

import pytest

from adapters.postgres.buckets.unknown_buckets import UnknownBuckets
from adapters.postgres.connections.statement import Statement
from domain.errors import StorageUnavailable


class Home:
    """A gateway to a database with these buckets, or an error."""

    def __init__(self):
        self.found, self.asked = [], 0

    async def fetch(self, *_, **__):
        self.asked += 1
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


async def test_buckets_that_were_seen_once_stay():
    home = Home()
    unknown = UnknownBuckets(home, Statement("select_buckets", "SELECT 1"))
    assert not await unknown.look()
    home.found = StorageUnavailable()
    with pytest.raises(StorageUnavailable):
        await unknown.look()
    assert not unknown.are_there
    home.found = [(1, "bucket_1", None)]
    await unknown.run()
    assert unknown.are_there
    home.found = StorageUnavailable()
    assert await unknown.look()
    await unknown.run()
    assert home.asked == 3
