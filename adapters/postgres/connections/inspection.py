"""One connection for an inspection, and the reason when there is none."""

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import psycopg
from attrs import define, field
from psycopg.conninfo import conninfo_to_dict

from adapters.postgres.connections.connection import GatewayConnection, Rows
from adapters.postgres.connections.exchange import SocketDeadline
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway_options import GatewayOptions
from domain.inspection import DatabaseUnreachable, InspectionFailed, Obstacle

_PORT = "5432"

# The order matters: the server's words about pg_hba.conf mention encryption too.
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


def obstacle_of(text: str) -> Obstacle:
    """Return why a connection failed, by the words of the driver and the server: there is no SQLSTATE to go by."""
    return next((obstacle for obstacle, signs in _SIGNS if signs.search(text)), Obstacle.REFUSED)


@define(eq=False)
class InspectionConnection:
    """A connection like those of the service; each statement on it ends within `timeout_s`, even on a silent server."""

    _connection: GatewayConnection
    _timeout_s: float
    _cut: bool = field(default=False, init=False)

    @classmethod
    @asynccontextmanager
    async def opened(cls, options: GatewayOptions, timeout_s: float) -> AsyncIterator[Self]:
        """Connect within `timeout_s` for each address of each host; raises DatabaseUnreachable."""
        await _require_host(conninfo_to_dict(options.conninfo), timeout_s)
        try:
            connection = await GatewayConnection.connect(
                options.conninfo,
                autocommit=True,
                prepare_threshold=0 if options.prepares else None,
                address_timeout_s=timeout_s,
            )
        except psycopg.Error as error:
            text = _in_one_line(error)
            raise DatabaseUnreachable(obstacle_of(text), text) from error
        try:
            yield cls(connection, timeout_s)
        finally:
            await connection.close()

    @property
    def process_id(self) -> int:
        """The process id that the server announced."""
        return self._connection.info.backend_pid

    @property
    def is_encrypted(self) -> bool:
        """Whether the connection uses TLS."""
        return bool(self._connection.pgconn.ssl_in_use)

    @property
    def host(self) -> str:
        """The host, or the folder of its Unix socket."""
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


async def _require_host(given: Mapping[str, object], timeout_s: float) -> None:
    """Return once one of the hosts accepts a connection; raises DatabaseUnreachable with the first host's failure."""
    named = str(given.get("hostaddr") or given.get("host") or "")
    if not named:
        return None  # the driver has a default host
    hosts, ports = named.split(","), str(given.get("port") or _PORT).split(",")
    ports = ports if len(ports) == len(hosts) else ports[:1] * len(hosts)
    failures = []
    for host, port in zip(hosts, ports, strict=True):
        try:
            return await _try_host(host, port or _PORT, timeout_s)
        except DatabaseUnreachable as failure:
            failures.append(failure)
    raise failures[0]


async def _try_host(host: str, port: str, timeout_s: float) -> None:
    if host.startswith(("/", "@")):
        return await _try_address(socket.AF_UNIX, f"{host}/.s.PGSQL.{port}", timeout_s)
    refusals = []
    for family, address in await _addresses(host, port, timeout_s):
        try:
            return await _try_address(family, address, timeout_s)
        except DatabaseUnreachable as failure:
            refusals.append(failure)
    raise refusals[0]


async def _addresses(host: str, port: str, timeout_s: float) -> list[tuple[int, tuple[Any, ...]]]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            found = await loop.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except TimeoutError:
        raise DatabaseUnreachable(Obstacle.NAME, f"the name {host!r} was not resolved within {timeout_s:g} s") from None
    except (OSError, UnicodeError) as error:
        raise DatabaseUnreachable(Obstacle.NAME, f"the name {host!r} cannot be resolved: {error}") from error
    return [(family, address) for family, _, _, _, address in found]


async def _try_address(family: int, address: tuple[Any, ...] | str, timeout_s: float) -> None:
    shown = address if isinstance(address, str) else "{} port {}".format(*address[:2])
    probe = socket.socket(family)
    probe.setblocking(False)
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.get_running_loop().sock_connect(probe, address)
    except TimeoutError:
        raise DatabaseUnreachable(Obstacle.NETWORK, f"{shown} did not respond within {timeout_s:g} s") from None
    except OSError as error:
        raise DatabaseUnreachable(Obstacle.NETWORK, f"{shown}: {os.strerror(error.errno or 0)}") from error
    finally:
        probe.close()


def _in_one_line(error: psycopg.Error) -> str:
    return " ".join(str(error).split())
