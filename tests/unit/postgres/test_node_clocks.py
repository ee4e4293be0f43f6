"""The clocks of nodes are measured against the time of the service."""

from datetime import timedelta

import pytest

from adapters.memory.manual_clock import ManualClock
from adapters.postgres.buckets.node_clocks import NodeClocks
from adapters.postgres.buckets.placements import Placements
from adapters.postgres.connections.statement import Statement
from adapters.postgres.statements.catalogue import load_statements
from domain.errors import StorageUnavailable

SECOND = timedelta(seconds=1)


class Node:
    """A gateway to a node whose clock is ahead; a response takes a second each way."""

    def __init__(self, clock, ahead, number=0):
        self.clock, self.ahead, self.number = clock, ahead, number
        self.is_away = False

    async def fetch(self, *_, **__):
        if self.is_away:
            raise StorageUnavailable
        self.clock.advance(SECOND)
        at = self.clock.now() + self.ahead
        self.clock.advance(SECOND)
        return [(at,)]


class Home:
    """Says where the buckets lie."""

    def __init__(self, *ports, has_citus=True):
        self.ports, self.has_citus = ports, has_citus

    async def fetch(self, statement, *_, **__):
        if statement.name == "select_nodes_exist":
            return [(self.has_citus,)]
        assert self.has_citus, f"{statement.name} would fail"
        if statement.name == "select_workers":
            return [(port, "db", port) for port in (*sorted(set(self.ports)), 3)]
        return [
            (number, f"bucket_{number}", port, "db", port, {"sessions": 100 + number})
            for number, port in enumerate(self.ports, 1)
        ]


@pytest.fixture
async def placements():
    """Two buckets on one node, and one on another; the place of bucket 4 is unknown."""
    placements = Placements(Home(1, 1, 2), load_statements().buckets)
    await placements.of(1)
    return placements


async def test_each_node_is_measured_once_and_one_that_is_away_has_no_figure(placements):
    clock = ManualClock()
    home = Node(clock, timedelta())
    nodes = [Node(clock, timedelta(seconds=60), 1), Node(clock, timedelta(seconds=60), 2)]
    nodes += [Node(clock, timedelta(seconds=-2), 3), Node(clock, timedelta(), 4)]
    alone = Node(clock, timedelta(seconds=5))
    asked = []

    def fetch_alone(node):
        asked.append(node.address)
        return alone.fetch

    clocks = NodeClocks(clock, home, nodes, placements, Statement("select_time", "SELECT 1"), fetch_alone)
    await clocks.measure()
    assert clocks.offsets_ms == {"home": 0, "db:1": 60_000, "db:2": -2000, "db:3": 5000}
    assert clocks.workers == ["db:1", "db:2", "db:3"]
    nodes[2].is_away = alone.is_away = True
    await clocks.measure()
    assert clocks.offsets_ms == {"home": 0, "db:1": 60_000}
    assert asked == ["db:3"] * 2, "only the one without buckets"


async def test_a_database_without_citus_has_no_other_nodes():
    placements = Placements(Home(has_citus=False), load_statements().buckets)
    assert await placements.workers() == []
