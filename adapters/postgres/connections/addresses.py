"""The hosts of a database: each is tried in turn, and none waits for a silent one before it."""

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

SILENT_S = 0.25
"""A host that has not responded for so long is given its time, and the next one is tried beside it."""

_PARTS = ("host", "hostaddr", "port")


class _Closable(Protocol):
    async def close(self) -> None: ...


_PORT = 5432

Connected = TypeVar("Connected", bound=_Closable)


def each_host(conninfo: str) -> Sequence[str]:
    """Return the conninfo of each host, in the order to try them; the driver reports lists that do not match."""
    given = conninfo_to_dict(conninfo)
    lists = {name: str(given[name]).split(",") for name in _PARTS if given.get(name)}
    hosts = max((len(lists.get(name, [])) for name in ("host", "hostaddr")), default=0)
    if len(lists.get("port", [])) == 1:
        lists["port"] *= hosts
    if hosts < 2 or any(len(each) != hosts for each in lists.values()):
        return [conninfo]
    found = [
        make_conninfo(conninfo, **dict(zip(lists, each, strict=True))) for each in zip(*lists.values(), strict=True)
    ]
    if given.get("load_balance_hosts") == "random":
        random.shuffle(found)
    return found


def endpoints_of(conninfo: str) -> Sequence[tuple[str, int]]:
    """Return host and port of each server that is reached by TCP."""
    found = []
    for each in each_host(conninfo):
        given = conninfo_to_dict(each)
        host = str(given.get("hostaddr") or given.get("host") or "")
        if host and not host.startswith(("/", "@")):
            found.append((host, int(given.get("port") or _PORT)))
    return found


async def first_connected(
    attempts: Sequence[Callable[[], Awaitable[Connected]]], silent_s: float = SILENT_S
) -> Connected:
    """Return what the first attempt gives that succeeds; the others are ended, and what they gave is closed.

    The next attempt begins when one has failed, or after `silent_s`. Raises psycopg.Error with the words of all.
    """
    if len(attempts) == 1:
        return await attempts[0]()
    waiting, running = list(attempts), list[asyncio.Task[Connected]]()
    failures: dict[str, type[psycopg.Error]] = {}
    try:
        while waiting or running:
            if waiting:
                running.append(asyncio.ensure_future(waiting.pop(0)()))
            await asyncio.wait(running, timeout=silent_s if waiting else None, return_when=asyncio.FIRST_COMPLETED)
            connection = _first_of(running, failures)
            if connection is not None:
                return connection
        raise list(failures.values())[-1]("\n".join(failures))
    finally:
        await _leave(running)


def _first_of(running: "list[asyncio.Task[Connected]]", failures: dict[str, type[psycopg.Error]]) -> Connected | None:
    """Return the connection of the first attempt that has one; note those that failed, without their frames."""
    for ended in [each for each in running if each.done()]:
        running.remove(ended)
        try:
            return ended.result()
        except psycopg.Error as failure:
            failures[str(failure)] = type(failure)
    return None


async def _leave(running: Sequence["asyncio.Task[Connected]"]) -> None:
    for each in running:
        each.cancel()
    for ended in await asyncio.gather(*running, return_exceptions=True):
        if not isinstance(ended, BaseException):
            await ended.close()


async def count_addresses(conninfo: str) -> int:
    """Return how many addresses the driver tries, one after the other."""
    given = conninfo_to_dict(conninfo)
    if given.get("hostaddr"):
        return str(given["hostaddr"]).count(",") + 1
    return sum([await _count_addresses_of(host) for host in str(given.get("host", "")).split(",")])


async def _count_addresses_of(host: str) -> int:
    if not host or host.startswith(("/", "@")):
        return 1  # a Unix socket
    try:
        return len(await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except OSError:
        return 1  # the driver reports the error
