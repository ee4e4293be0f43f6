"""The gateway's connection: opened within a bounded time, and with no round trip spent on preparing."""

import asyncio
import math
import socket
from collections.abc import Mapping
from typing import Any, Self, cast

import psycopg
from psycopg.abc import QueryNoTemplate
from psycopg.conninfo import conninfo_to_dict
from typing_extensions import override

from adapters.postgres.statement import Statement

Rows = list[tuple[Any, ...]]

_DRIVER_TIMEOUT_MIN_S = 2
"""The driver gives no address less."""


class GatewayConnection(psycopg.AsyncConnection[tuple[Any, ...]]):
    """A connection that remembers which statements it has run."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._known: set[str] = set()

    @classmethod
    @override
    async def connect(cls, conninfo: str = "", **options: Any) -> Self:
        """Connect to the first address that answers; names are resolved within `address_timeout_s`, as for the last.

        The driver tries one address after the other, each for whole seconds and for two of them at least, and resolves
        names without a limit. However many are silent, the last one has its time. Raises psycopg.Error.
        """
        address_timeout_s: float = options.pop("address_timeout_s")
        driver_timeout_s = max(_DRIVER_TIMEOUT_MIN_S, math.ceil(address_timeout_s))
        try:
            async with asyncio.timeout(address_timeout_s):
                addresses = await _count_addresses(conninfo)
            async with asyncio.timeout(driver_timeout_s * (addresses - 1) + address_timeout_s):
                return await super().connect(conninfo, **options, connect_timeout=driver_timeout_s)
        except TimeoutError:
            raise psycopg.errors.ConnectionTimeout("the server did not greet in time") from None

    async def run(self, statement: Statement, parameters: Mapping[str, object]) -> Rows:
        """Run the statement and return its rows; raises the driver's error."""
        if statement.name in self._known or not statement.prepare or self.prepare_threshold is None:
            cursor = await self._send(statement, parameters)
        else:
            # Outside of a pipeline the driver waits for the preparing before it sends the values.
            async with self.pipeline():
                cursor = await self._send(statement, parameters)
            self._known.add(statement.name)
        # Its `description` would tell as well, by an object for each column.
        return [] if cursor.rownumber is None else await cursor.fetchall()

    async def _send(
        self, statement: Statement, parameters: Mapping[str, object]
    ) -> psycopg.AsyncCursor[tuple[Any, ...]]:
        if statement.prepare:
            return await psycopg.AsyncRawCursor(self).execute(statement.numbered, statement.values(parameters))
        text = cast("QueryNoTemplate", statement.sql)  # from a file of the project, never assembled
        # With its values in its text the statement is planned for them, whatever the mode of the plan cache.
        return await psycopg.AsyncClientCursor(self).execute(text, parameters)


async def _count_addresses(conninfo: str) -> int:
    """Return how many addresses the driver will try, one after the other."""
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
        return 1  # the driver tells what is wrong with it
