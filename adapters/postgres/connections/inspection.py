"""One connection to look at a server with, and why there is none, told apart."""

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any, Self

import psycopg
from attrs import define, field
from psycopg.conninfo import conninfo_to_dict

from adapters.postgres.connections.connection import GatewayConnection, Rows
from adapters.postgres.connections.socket_deadline import SocketDeadline
from adapters.postgres.gateway_options import GatewayOptions
from adapters.postgres.statement import Statement

_PORT = "5432"


class Obstacle(StrEnum):
    """Where the way to a database ends."""

    NAME = "name"
    NETWORK = "network"
    SILENCE = "silence"
    TLS = "tls"
    LOGIN = "login"
    DATABASE = "database"
    FULL = "full"
    OPTIONS = "options"
    STARTING = "starting"
    REFUSED = "refused"


class ServerUnreachable(Exception):
    """There is no connection; the text is what the network or the server said."""

    def __init__(self, obstacle: Obstacle, told: str) -> None:
        super().__init__(told)
        self.obstacle = obstacle


class InspectionFailed(Exception):
    """A statement gave no answer; the text says why."""


# In this order: the server's words about pg_hba.conf mention encryption too.
_SIGNS: Sequence[tuple[Obstacle, re.Pattern[str]]] = tuple(
    (obstacle, re.compile(signs, re.IGNORECASE))
    for obstacle, signs in (
        (Obstacle.OPTIONS, "unsupported startup parameter"),
        (Obstacle.FULL, "too many clients|remaining connection slots|too many connections|no more connections"),
        (Obstacle.STARTING, "starting up|shutting down|in recovery mode|not yet accepting"),
        (Obstacle.DATABASE, "database .* does not exist|no such database"),
        (Obstacle.LOGIN, "pg_hba|authentication|password|role .* does not exist|not permitted to log in"),
        (Obstacle.TLS, r"\bSSL\b|\bTLS\b|certificate"),
        (Obstacle.NETWORK, "connection refused|no route|unreachable|no such file or directory"),
        (Obstacle.SILENCE, "timeout|did not greet in time"),
    )
)


def obstacle_of(told: str) -> Obstacle:
    """Return what a failure to connect is about, by the words of the driver and the server.

    Nothing else tells: a failed connection has no SQLSTATE.
    """
    return next((obstacle for obstacle, signs in _SIGNS if signs.search(told)), Obstacle.REFUSED)


@define(eq=False)
class Inspection:
    """A connection like those of the service; each statement on it ends by `timeout_s`, whatever the server does."""

    _connection: GatewayConnection
    _timeout_s: float
    _cut: bool = field(default=False, init=False)

    @classmethod
    @asynccontextmanager
    async def connected(cls, options: GatewayOptions, timeout_s: float) -> AsyncIterator[Self]:
        """Connect, step by step, within `timeout_s` for each address of each host; raises Unreachable."""
        await _look_at_hosts(conninfo_to_dict(options.conninfo), timeout_s)
        try:
            connection = await GatewayConnection.connect(
                options.conninfo,
                autocommit=True,
                prepare_threshold=0 if options.prepares else None,
                address_timeout_s=timeout_s,
            )
        except psycopg.Error as error:
            told = _in_one_line(error)
            raise ServerUnreachable(obstacle_of(told), told) from error
        try:
            yield cls(connection, timeout_s)
        finally:
            await connection.close()

    @property
    def process_id(self) -> int:
        """The process that the server named in its greeting."""
        return self._connection.info.backend_pid

    @property
    def is_encrypted(self) -> bool:
        """Whether what goes over the wire cannot be read on the way."""
        return bool(self._connection.pgconn.ssl_in_use)

    @property
    def host(self) -> str:
        """The host, or the folder of its socket."""
        return self._connection.info.host

    async def fetch(self, statement: Statement, parameters: Mapping[str, object] | None = None) -> Rows:
        """Run the statement and return its rows; raises InspectionFailed."""
        if self._cut:
            raise InspectionFailed("the server has fallen silent")
        try:
            with SocketDeadline(self._connection, self._timeout_s) as deadline:
                return await self._connection.run(statement, parameters or {})
        except psycopg.Error as error:
            self._cut = deadline.passed
            if deadline.passed:
                raise InspectionFailed(f"the server was silent for {self._timeout_s:g} s") from error
            raise InspectionFailed(_in_one_line(error)) from error


async def _look_at_hosts(given: Mapping[str, object], timeout_s: float) -> None:
    """Return when one of the hosts takes connections; raises Unreachable with what is wrong with the first one."""
    named = str(given.get("hostaddr") or given.get("host") or "")
    if not named:
        return None  # the driver knows a place of its own
    hosts, ports = named.split(","), str(given.get("port") or _PORT).split(",")
    ports = ports if len(ports) == len(hosts) else ports[:1] * len(hosts)
    failures = []
    for host, port in zip(hosts, ports, strict=True):
        try:
            return await _knock(host, port or _PORT, timeout_s)
        except ServerUnreachable as failure:
            failures.append(failure)
    raise failures[0]


async def _knock(host: str, port: str, timeout_s: float) -> None:
    if host.startswith(("/", "@")):
        return await _knock_at(socket.AF_UNIX, f"{host}/.s.PGSQL.{port}", timeout_s)
    refusals = []
    for family, address in await _addresses(host, port, timeout_s):
        try:
            return await _knock_at(family, address, timeout_s)
        except ServerUnreachable as failure:
            refusals.append(failure)
    raise refusals[0]


async def _addresses(host: str, port: str, timeout_s: float) -> list[tuple[int, tuple[Any, ...]]]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            found = await loop.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except TimeoutError:
        raise ServerUnreachable(Obstacle.NAME, f"the name {host!r} was not resolved within {timeout_s:g} s") from None
    except (OSError, UnicodeError) as error:
        raise ServerUnreachable(Obstacle.NAME, f"the name {host!r} cannot be resolved: {error}") from error
    return [(family, address) for family, _, _, _, address in found]


async def _knock_at(family: int, address: tuple[Any, ...] | str, timeout_s: float) -> None:
    shown = address if isinstance(address, str) else "{} port {}".format(*address[:2])
    door = socket.socket(family)
    door.setblocking(False)
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.get_running_loop().sock_connect(door, address)
    except TimeoutError:
        raise ServerUnreachable(Obstacle.NETWORK, f"{shown} did not answer within {timeout_s:g} s") from None
    except OSError as error:
        raise ServerUnreachable(Obstacle.NETWORK, f"{shown}: {os.strerror(error.errno or 0)}") from error
    finally:
        door.close()


def _in_one_line(error: psycopg.Error) -> str:
    return " ".join(str(error).split())
