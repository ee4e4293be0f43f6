"""The hosts of a database, in turn and beside silent ones."""

import asyncio

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from adapters.postgres.connections.addresses import each_host, first_connected
from tests.support.waiting import until


class Connection:
    """What a host gives."""

    def __init__(self):
        self.closed = False

    async def close(self):
        self.closed = True


class Host:
    """A host that is silent until it `gives` a connection or a failure; `asked` is whether it was tried."""

    def __init__(self, gives=None):
        self.asked = self.left = False
        self.connection = Connection()
        self._gives = asyncio.Event()
        self._failure = None
        if gives is not None:
            self.give(gives)

    def give(self, what):
        self._failure = what if isinstance(what, Exception) else None
        self._gives.set()

    async def connect(self):
        self.asked = True
        try:
            await self._gives.wait()
        except asyncio.CancelledError:
            self.left = True
            raise
        if self._failure is not None:
            raise self._failure
        return self.connection


def refusal(text):
    return psycopg.OperationalError(text)


def attempt(*hosts, silent_s=30.0):
    return asyncio.ensure_future(first_connected([host.connect for host in hosts], silent_s))


async def test_a_host_that_responds_is_taken_and_no_other_is_tried():
    first, second = Host(gives="connection"), Host()
    assert await attempt(first, second) is first.connection
    assert not second.asked


async def test_the_next_host_is_tried_at_once_when_one_refuses():
    first, second = Host(gives=refusal("read-only")), Host(gives="connection")
    assert await attempt(first, second) is second.connection


async def test_a_silent_host_keeps_its_time_while_the_next_ones_are_tried_beside_it():
    hosts = [Host() for _ in range(3)]
    connecting = attempt(*hosts, silent_s=0.01)
    await until(lambda: all(host.asked for host in hosts))
    hosts[0].give("connection")
    assert await connecting is hosts[0].connection
    assert [host.left for host in hosts] == [False, True, True]


async def test_of_two_hosts_that_respond_at_once_one_is_taken_and_the_other_is_closed():
    hosts = [Host(), Host()]
    connecting = attempt(*hosts, silent_s=0.01)
    await until(lambda: all(host.asked for host in hosts))
    for host in hosts:
        host.give("connection")
    assert await connecting is hosts[0].connection
    assert [host.connection.closed for host in hosts] == [False, True]


async def test_the_failure_has_the_words_of_all_hosts_once():
    hosts = [Host(gives=refusal(text)) for text in ("a: refused", "b: silent", "a: refused")]
    with pytest.raises(psycopg.OperationalError, match=r"^a: refused\nb: silent$"):
        await attempt(*hosts)


async def test_a_caller_that_leaves_ends_all_attempts():
    hosts = [Host(), Host()]
    connecting = attempt(*hosts, silent_s=0.01)
    await until(lambda: all(host.asked for host in hosts))
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert [host.left for host in hosts] == [True, True]


def hosts_of(conninfo):
    found = [conninfo_to_dict(each) for each in each_host(conninfo)]
    assert {each["user"] for each in found} == {"u"}
    return [(each.get("host"), each.get("hostaddr"), each.get("port")) for each in found]


@pytest.mark.parametrize(
    ("conninfo", "hosts"),
    [
        ("host=a,b port=1,2", [("a", None, "1"), ("b", None, "2")]),
        ("host=a,b port=1", [("a", None, "1"), ("b", None, "1")]),
        ("host=a,b", [("a", None, None), ("b", None, None)]),
        ("hostaddr=10.0.0.1,10.0.0.2", [(None, "10.0.0.1", None), (None, "10.0.0.2", None)]),
        ("host=a,b hostaddr=10.0.0.1,10.0.0.2", [("a", "10.0.0.1", None), ("b", "10.0.0.2", None)]),
        ("host=a port=1", [("a", None, "1")]),
        ("port=1", [(None, None, "1")]),
    ],
)
def test_each_host_has_its_port_and_address(conninfo, hosts):
    assert hosts_of(f"{conninfo} user=u") == hosts


@pytest.mark.parametrize("conninfo", ["host=a,b port=1,2,3 user=u", "host=a,b hostaddr=10.0.0.1 user=u"])
def test_lists_that_do_not_match_are_left_to_the_driver(conninfo):
    assert each_host(conninfo) == [conninfo]


def test_hosts_are_tried_in_any_order_if_the_address_wants_that():
    names = [f"h{number}" for number in range(40)]
    conninfo = f"host={','.join(names)} user=u load_balance_hosts=random"
    tried = [host for host, *_ in hosts_of(conninfo)]
    assert sorted(tried) == sorted(names)
    assert tried != names
