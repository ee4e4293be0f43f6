"""The clock of the database's server, read and settled by statements."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from attrs import frozen
from typing_extensions import override

from adapters.postgres.connections.statement import Statement
from adapters.postgres.statements.calls import ClockStatements
from domain.errors import StorageUnavailable
from domain.storage.faults import StorageFault


@frozen
class ServerTime:
    """The time as the server gives it, with what the service adds to the clock of the server: `correction`.

    Each promotion begins another `timeline`. As long as `settled_timeline` is that of the server before, nothing is
    added, and a controller that knows the time settles what is to be added. In a new database it is None. A standby has
    the timeline 0. `source` is the node by its group in the cluster; 0 is the server of DATABASE_URL.
    """

    at: datetime
    timeline: int = 0
    settled_timeline: int | None = 0
    correction: timedelta = timedelta()
    source: int = 0

    @property
    def is_settled(self) -> bool:
        """Whether the correction is the one for this server."""
        return self.timeline in {0, self.settled_timeline}

    @property
    def correction_ms(self) -> float:
        """What is added to the clock of the server now."""
        return self.correction / timedelta(milliseconds=1) if self.is_settled and self.timeline else 0.0


class ServerClock(Protocol):
    """The clock that all controllers follow."""

    async def read(self) -> ServerTime:
        """Read it once; raises what the gateway raises."""
        ...

    async def settle(self, time: ServerTime, correction: timedelta) -> None:
        """Store what is added to the clock of a new server, unless another controller has; raises the same."""
        ...


class Fetch(Protocol):
    """The part of the gateway that the probe needs."""

    async def __call__(
        self, statement: Statement, parameters: Mapping[str, object], *, timeout_s: float | None, repeatable: bool
    ) -> list[tuple[Any, ...]]:
        """Run a statement."""
        ...


AT_HOME: Mapping[str, object] = {"source": 0, "server_at": None, "timeline": None}
"""The parameters of `select_clock` for the server of DATABASE_URL."""


@frozen
class DatabaseClock(ServerClock):
    """Reads the server of DATABASE_URL; each statement runs once within `timeout_s`: a late response has no use."""

    _fetch: Fetch
    _statements: ClockStatements
    _timeout_s: float

    @override
    async def read(self) -> ServerTime:
        """Read it; before the migrations there is no correction, and the clock of the server counts."""
        try:
            return ServerTime(*await self._row(self._statements.select_clock, AT_HOME))
        except StorageUnavailable as error:
            if error.fault is not StorageFault.SCHEMA_MISSING:
                raise
        return ServerTime(*await self._row(self._statements.select_server_clock, {}))

    async def of_node(self, source: int, server_at: datetime, timeline: int) -> ServerTime:
        """Return the time by the clock of a node, which has been read there; raises what the gateway raises."""
        read = {"source": source, "server_at": server_at, "timeline": timeline}
        at, timeline, settled_timeline, correction = await self._row(self._statements.select_clock, read)
        return ServerTime(at, timeline, settled_timeline, correction, source)

    async def _row(self, statement: Statement, parameters: Mapping[str, object]) -> tuple[Any, ...]:
        (row,) = await self._fetch(statement, parameters, timeout_s=self._timeout_s, repeatable=False)
        return row

    @override
    async def settle(self, time: ServerTime, correction: timedelta) -> None:
        settled = {
            "source": time.source,
            "known": time.settled_timeline,
            "timeline": time.timeline,
            "correction_us": correction // timedelta(microseconds=1),
            "server_at": time.at,
        }
        await self._fetch(self._statements.settle_clock, settled, timeout_s=self._timeout_s, repeatable=False)


@frozen
class NodeClock(ServerClock):
    """The clock of another node of a distributed database, whose corrections are kept at home."""

    _home: DatabaseClock
    _fetch: Fetch
    _select: Statement
    _timeout_s: float

    @override
    async def read(self) -> ServerTime:
        (row,) = await self._fetch(self._select, {}, timeout_s=self._timeout_s, repeatable=False)
        server_at, timeline, source = row
        return await self._home.of_node(source, server_at, timeline)

    @override
    async def settle(self, time: ServerTime, correction: timedelta) -> None:
        await self._home.settle(time, correction)
