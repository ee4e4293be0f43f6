"""A command begins only if it would see the whole database."""

from types import SimpleNamespace

import pytest

from adapters.postgres.buckets.unknown_buckets import UnknownBuckets
from adapters.postgres.checked_gateway import CheckedGateway
from adapters.postgres.connections.statement import Statement

SELECT_BUCKETS = Statement("select_buckets", "SELECT b.number FROM meta.buckets AS b")


class Home:
    """A gateway to a migrated database with these buckets."""

    def __init__(self, buckets):
        self.buckets, self.is_open = buckets, False

    async def open(self):
        self.is_open = True

    async def close(self):
        self.is_open = False

    async def fetch(self, statement, *_, **__):
        return self.buckets if statement is SELECT_BUCKETS else [(True,)]

    async def state(self):
        return SimpleNamespace(pending=[])

    async def measure(self, *, settles):
        assert not settles


def access(home, unknown):
    return CheckedGateway(home, home, home, Statement("select_one", "SELECT 1"), (), unknown)


async def test_a_command_that_does_not_know_the_nodes_refuses_a_database_with_buckets():
    home = Home([(1,)])
    with pytest.raises(RuntimeError, match=r"DATABASE_NODES is not set.*Nothing was done"):
        async with access(home, UnknownBuckets(home, SELECT_BUCKETS)).opened():
            raise AssertionError("the command would see what home has alone")
    assert not home.is_open


@pytest.mark.parametrize(
    ("buckets", "knows_nodes"), [([], False), ([(1,)], True)], ids=["of a plain database", "that knows the nodes"]
)
async def test_a_command_begins(buckets, knows_nodes):
    home = Home(buckets)
    async with access(home, None if knows_nodes else UnknownBuckets(home, SELECT_BUCKETS)).opened():
        assert home.is_open
