"""How many connections a process keeps, and which one it closes to make room."""

from attrs import define

from entrypoints.server.open_connections import OpenConnections


@define(eq=False)
class Connection:
    in_use: bool = False
    looks: int = 0
    closed: bool = False
    aborted: bool = False

    def close_if_unused(self) -> bool:
        self.looks += 1
        self.closed = not self.in_use
        return self.closed

    def abort(self) -> None:
        self.aborted = True


def full(kept_max: int) -> tuple[OpenConnections, list[Connection]]:
    connections, members = OpenConnections(kept_max), [Connection() for _ in range(kept_max)]
    assert all(connections.add(member) for member in members)
    return connections, members


def test_nothing_is_closed_while_there_is_room():
    connections, members = full(3)
    assert (connections.kept, connections.evicted) == (3, 0)
    assert not any(member.closed for member in members)


def test_the_one_that_has_waited_longest_makes_room():
    connections, members = full(3)
    connections.wait(members[0])
    assert connections.add(Connection())
    assert [member.closed for member in members] == [False, True, False]
    assert (connections.kept, connections.evicted) == (3, 1)


def test_one_with_a_request_is_kept_and_waits_from_its_answer_on():
    connections, members = full(2)
    connections.serve(members[0])
    assert connections.busy == 1
    assert connections.add(newer := Connection())
    connections.wait(members[0])
    assert connections.busy == 0
    assert connections.add(Connection())
    assert [member.closed for member in (*members, newer)] == [False, True, True]


def test_a_new_one_is_refused_where_all_have_a_request():
    connections, members = full(2)
    for member in members:
        connections.serve(member)
    assert not connections.add(Connection())
    assert connections.kept == 2
    connections.remove(members[0])
    assert connections.add(Connection())


def test_one_that_cannot_be_closed_is_looked_at_last_from_then_on():
    connections, members = full(3)
    members[0].in_use = True
    assert connections.add(Connection())
    assert connections.add(Connection())
    assert [member.looks for member in members] == [1, 1, 1]


def test_a_new_one_looks_at_64_and_is_refused_if_none_can_be_closed():
    connections, members = full(100)
    for member in members[:80]:
        member.in_use = True
    assert not connections.add(Connection())
    assert sum(member.looks for member in members) == 64
    assert connections.add(Connection())
    assert members[80].closed


def test_one_that_lingers_has_no_place():
    connections, members = full(2)
    connections.linger(members[0])
    assert connections.add(Connection())
    assert not members[1].closed
    connections.remove(members[0])
    assert connections.kept == 2


def test_at_most_128_linger_and_the_first_of_them_is_aborted():
    connections = OpenConnections(1)
    lingering = [Connection() for _ in range(130)]
    for each in lingering:
        connections.linger(each)
    assert [each.aborted for each in lingering] == [True] * 2 + [False] * 128


def test_what_is_closed_is_forgotten():
    connections, members = full(2)
    connections.remove(members[0])
    connections.remove(members[0])
    assert connections.kept == 1
    assert connections.add(Connection())
    assert not members[1].closed
