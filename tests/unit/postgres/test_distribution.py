"""A database that cannot be divided into buckets is refused, with what to do."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from psycopg.conninfo import conninfo_to_dict
from typing_extensions import override

from adapters.postgres.buckets.placements import Node, Placement, Placements
from adapters.postgres.buckets.pool import BucketPool, connections_of_node
from adapters.postgres.connections.errors import AttemptFailed
from adapters.postgres.connections.held import Hold
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway
from adapters.postgres.gateway_options import GatewayOptions
from adapters.postgres.migrations.announcement import OPTIONS, require_time
from adapters.postgres.migrations.buckets import BucketSchema, ClusterNode
from adapters.postgres.migrations.distribution import (
    CannotDistribute,
    new_numbers,
    require_citus,
    require_rights,
    require_usable,
)
from adapters.postgres.migrations.down import MigrationFailed
from adapters.postgres.statements.catalogue import load_statements
from domain.buckets.bucket_map import ANNOUNCED, FRESH, NUMBER_MAX
from domain.errors import StorageUnavailable
from tests.support.ports import free_port

KNOWN = [BucketSchema(number, f"bucket_{number}", datetime(2026, 1, 2, tzinfo=UTC)) for number in (1, 3)]


def node(wal_level: str | None = "logical", free: int | None = 100) -> ClusterNode:
    return ClusterNode(1, "db1", 5432, 0, wal_level, free)


def test_citus_is_needed_in_a_version_that_was_tried():
    require_citus("14.0-1", 170_000)
    with pytest.raises(CannotDistribute, match="does not have the extension Citus"):
        require_citus(None, 170_000)
    with pytest.raises(CannotDistribute, match=r"has Citus 14\.1-1"):
        require_citus("14.1-1", 170_000)
    with pytest.raises(CannotDistribute, match="have PostgreSQL 16"):
        require_citus("14.0-1", 169_999)


def test_the_owner_of_the_schema_distributes_at_the_coordinator():
    require_rights(is_coordinator=True, may_create=True, owns_home=True)
    with pytest.raises(CannotDistribute, match="not the coordinator"):
        require_rights(is_coordinator=False, may_create=True, owns_home=True)
    for may_create, owns_home in ((False, True), (True, False)):
        with pytest.raises(CannotDistribute, match="GRANT CREATE ON DATABASE"):
            require_rights(is_coordinator=True, may_create=may_create, owns_home=owns_home)


def test_a_node_must_respond_and_be_able_to_move_buckets_and_have_connections():
    require_usable(node(), 100)
    with pytest.raises(CannotDistribute, match="db1:5432 does not respond"):
        require_usable(node(free=None), 1)
    with pytest.raises(CannotDistribute, match="wal_level = replica"):
        require_usable(node("replica"), 1)
    with pytest.raises(CannotDistribute, match="has 100 free connections, and each controller opens up to 101"):
        require_usable(node(), 101)


def test_the_number_of_buckets_is_raised_only():
    assert new_numbers(4, KNOWN, 2) == [2, 4]
    assert new_numbers(2, [], 9) == [1, 2]
    with pytest.raises(CannotDistribute, match="2 buckets already"):
        new_numbers(1, KNOWN, 9)


def test_the_default_is_one_bucket_for_each_node_as_far_as_ids_have_numbers_and_none_less_than_there_are():
    assert new_numbers(None, [], 3) == [1, 2, 3]
    assert new_numbers(None, [KNOWN[0], evolve(KNOWN[1], number=2)], 1) == []
    assert new_numbers(None, KNOWN, 3) == [2]
    assert list(new_numbers(None, [], 300)) == list(range(1, NUMBER_MAX + 1))


def test_buckets_that_were_stored_too_late_for_controllers_that_read_no_more_are_an_error():
    now = datetime(2026, 1, 2, tzinfo=UTC)
    require_time(now + FRESH, now)
    with pytest.raises(MigrationFailed, match="stored them 44 s before, and controllers need 45 s"):
        require_time(now + timedelta(seconds=44), now)


def test_a_commit_is_sent_or_given_up_in_time_for_controllers_that_read_no_more():
    assert timedelta(seconds=OPTIONS.socket_timeout_s) <= ANNOUNCED - FRESH


def test_buckets_of_a_node_share_the_connections_of_a_process():
    options = GatewayOptions("dbname=x", pool_size_max=8, lock_wait_pool_size_max=2)
    assert [connections_of_node(options, buckets) for buckets in (1, 2, 4, 64)] == [15, 15, 17, 197]


def test_the_address_of_a_node_is_that_of_home_elsewhere_and_admits_no_standby():
    node = Node(2, "db2", 5433)
    dsn = conninfo_to_dict(node.dsn("host=db0,db1 port=5432 hostaddr=10.0.0.1 dbname=x"))
    assert dsn == {"host": "db2", "port": "5433", "dbname": "x", "target_session_attrs": "read-write"}
    given = node.dsn("host=db0 dbname=x target_session_attrs=any")
    assert conninfo_to_dict(given)["target_session_attrs"] == "any"


class LostHome(Placements):
    """Knows another node than the one that callers had from it, and cannot be read any more."""

    def __init__(self, before: Placement, after: Placement) -> None:
        self._before, self._after = before, after

    @override
    def known(self, number: int) -> Placement | None:
        return self._after

    @override
    async def of(self, number: int) -> Placement:
        return self._before

    @override
    async def after(self, seen: Placement) -> Placement:
        raise StorageUnavailable


def placement_at(port: int) -> Placement:
    hold = Hold(Statement("select_hold", "SELECT 1"), 5)
    return Placement(1, "bucket_1", Node(2, "127.0.0.1", port), {}, 1, False, hold)


async def ignore(_: float) -> None:
    return


async def test_a_statement_goes_where_the_bucket_was_last_though_home_is_away():
    closed = free_port(), free_port()
    options = GatewayOptions("dbname=x", request_timeout_s=1.0)
    pool = BucketPool("normal", 2, options, None, ignore, number=1, placements=LostHome(*map(placement_at, closed)))
    with pytest.raises(AttemptFailed) as caught:
        await pool.attempt(Statement("select_one", "SELECT 1"), {}, time.monotonic() + 5)
    await pool.close()
    assert f"port {closed[1]} failed" in str(caught.value.__cause__)


class Home(Gateway):
    """Says where the buckets lie."""

    def __init__(self, *rows: Sequence[Any]) -> None:
        super().__init__(GatewayOptions("dbname=x"))
        self.rows = rows

    @override
    async def fetch(self, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.rows]


def row(number: int, port: int, group: int = 2) -> Sequence[Any]:
    return number, f"bucket_{number}", group, "127.0.0.1", port, {"sessions": 100 + number}


async def test_the_buckets_of_a_node_divide_its_connections_anew_when_there_are_more_of_them():
    port = free_port()
    home = Home(row(1, port))
    placements = Placements(home, load_statements().buckets)
    options = GatewayOptions("dbname=x", request_timeout_s=1.0)
    pool = BucketPool("normal", 8, options, None, ignore, number=1, placements=placements)
    await placements.of(1)
    await pool.open()
    assert pool.stats().pool_size_max == 8
    home.rows = (row(1, port), row(2, port))
    await placements.of(2)
    with pytest.raises(AttemptFailed):
        await pool.attempt(Statement("select_one", "SELECT 1"), {}, time.monotonic() + 5)
    assert pool.stats().pool_size_max == 4
    await pool.close()


async def test_the_first_buckets_of_a_node_share_messages_unless_one_is_alone():
    home = Home(row(1, 5432), *(row(number, 5433, group=3) for number in range(2, 68)))
    placements = Placements(home, load_statements().buckets)
    shares = [(await placements.of(number)).gathers for number in range(1, 68)]
    assert shares == [False, *[True] * 64, False, False]


async def test_a_bucket_is_reported_when_it_is_not_alone_on_its_node_any_more():
    home, found = Home(row(1, 5432)), []
    placements = Placements(home, load_statements().buckets)
    placements.on_placed = lambda placement: found.append((placement.number, placement.gathers))
    await placements.of(1)
    home.rows = (row(1, 5432), row(2, 5432))
    await placements.of(2)
    assert (found, placements.moves) == ([(1, False), (1, True), (2, True)], 0)


async def test_a_bucket_is_reported_when_it_is_found_and_when_it_has_moved():
    home, clock_s, found = Home(row(1, 5432)), 0.0, []
    placements = Placements(home, load_statements().buckets, monotonic_s=lambda: clock_s)
    placements.on_placed = lambda placement: found.append((placement.number, placement.node.group))
    seen = await placements.of(1)
    clock_s = 1.0
    assert await placements.after(seen) is seen
    home.rows = (row(1, 5433, group=3),)
    clock_s = 2.0
    assert (await placements.after(seen)).node.address == "127.0.0.1:5433"
    assert (found, placements.moves, placements.reads) == ([(1, 2), (1, 3)], 1, 3)
