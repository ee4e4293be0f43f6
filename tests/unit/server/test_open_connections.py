"""The limit of open connections, and which one closes in favour of a new one."""

from attrs import define

from entrypoints.server.open_connections import OpenConnections


@define(eq=False)
class Connection:
    in_use: bool = False
    checks: int = 0
    closed: bool = False
    aborted: bool = False

    def close_if_unused(self) -> bool:
        self.checks += 1
        self.closed = not self.in_use
        return self.closed

    def abort(self) -> None:
        self.aborted = True


def full(count_max: int) -> tuple[OpenConnections, list[Connection]]:
    connections, members = OpenConnections(count_max), [Connection() for _ in range(count_max)]
    assert all(connections.add(member) for member in members)
    return connections, members


def test_no_connection_closes_below_the_limit():
    connections, members = full(3)
    assert (connections.count, connections.evicted) == (3, 0)
    assert not any(member.closed for member in members)


def test_a_new_connection_replaces_the_one_that_has_been_idle_for_longest():
    connections, members = full(3)
    connections.mark_idle(members[0])
    assert connections.add(Connection())
    assert [member.closed for member in members] == [False, True, False]
    assert (connections.count, connections.evicted) == (3, 1)


def test_a_busy_connection_stays_and_is_idle_from_its_response_on():
    connections, members = full(2)
    connections.mark_busy(members[0])
    assert connections.busy == 1
    assert connections.add(newer := Connection())
    connections.mark_idle(members[0])
    assert connections.busy == 0
    assert connections.add(Connection())
    assert [member.closed for member in (*members, newer)] == [False, True, True]


def test_a_new_connection_is_rejected_if_all_are_busy():
    connections, members = full(2)
    for member in members:
        connections.mark_busy(member)
    assert not connections.add(Connection())
    assert connections.count == 2
    connections.remove(members[0])
    assert connections.add(Connection())


def test_a_connection_that_cannot_be_closed_moves_to_the_end():
    connections, members = full(3)
    members[0].in_use = True
    assert connections.add(Connection())
    assert connections.add(Connection())
    assert [member.checks for member in members] == [1, 1, 1]


def test_a_new_connection_checks_64_others_and_is_rejected_if_none_can_be_closed():
    connections, members = full(100)
    for member in members[:80]:
        member.in_use = True
    assert not connections.add(Connection())
    assert sum(member.checks for member in members) == 64
    assert connections.add(Connection())
    assert members[80].closed


def test_a_lingering_connection_does_not_count():
    connections, members = full(2)
    connections.linger(members[0])
    assert connections.add(Connection())
    assert not members[1].closed
    connections.remove(members[0])
    assert connections.count == 2


def test_at_most_128_connections_linger_and_the_oldest_is_aborted():
    connections = OpenConnections(1)
    lingering = [Connection() for _ in range(130)]
    for each in lingering:
        connections.linger(each)
    assert [each.aborted for each in lingering] == [True] * 2 + [False] * 128


def test_a_removed_connection_is_forgotten():
    connections, members = full(2)
    connections.remove(members[0])
    connections.remove(members[0])
    assert connections.count == 1
    assert connections.add(Connection())
    assert not members[1].closed
