"""What the coordinator finds out about its nodes."""

from adapters.postgres.buckets.node_facts import node_facts
from domain.inspection import NodeFacts


def test_clocks_are_compared_with_the_coordinators_and_a_node_that_is_away_has_the_reason():
    rows = [
        (0, "db0:5432", True, '{"at": 100.5, "free": 90}'),
        (1, "db1:5432", True, '{"at": 98.5, "free": 80}'),
        (2, "db2:5432", False, "failed to connect to db2:5432"),
    ]
    assert node_facts(rows) == [
        NodeFacts("db0:5432", 90, 0.0),
        NodeFacts("db1:5432", 80, -2000.0),
        NodeFacts("db2:5432", None, reason="failed to connect to db2:5432"),
    ]
    assert node_facts(rows).pop().is_away
    assert node_facts(rows[1:2]) == [NodeFacts("db1:5432", 80)], "the coordinator is no node of its cluster"
