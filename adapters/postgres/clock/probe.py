"""The clock of the database's server, read and settled by statements."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from attrs import frozen
from typing_extensions import override

from adapters.postgres.connections.connection import Statement
from adapters.postgres.statements.calls import ClockStatements
from domain.errors import StorageUnavailable
from domain.storage.faults import StorageFault


@frozen
class ServerTime:
    """The time as the server gives it, with what the service adds to the clock of the server: `correction`.

    Each promotion begins another `timeline`. As long as `settled_timeline` is that of the server before, nothing is
    added, and a controller that knows the time settles what is to be added. In a new database it is None. A standby has
    the timeline 0.
    """

    at: datetime
    timeline: int = 0
    settled_timeline: int | None = 0
    correction: timedelta = timedelta()

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


@frozen
class DatabaseClock(ServerClock):
    """Runs each statement once within `timeout_s`, because a late response has no use."""

    _fetch: Fetch
    _statements: ClockStatements
    _timeout_s: float

    @override
    async def read(self) -> ServerTime:
        """Read it; before the migrations there is no correction, and the clock of the server counts."""
        try:
            return ServerTime(*await self._row(self._statements.select_clock))
        except StorageUnavailable as error:
            if error.fault is not StorageFault.SCHEMA_MISSING:
                raise
        return ServerTime(*await self._row(self._statements.select_server_clock))

    async def _row(self, statement: Statement) -> tuple[Any, ...]:
        (row,) = await self._fetch(statement, {}, timeout_s=self._timeout_s, repeatable=False)
        return row

    @override
    async def settle(self, time: ServerTime, correction: timedelta) -> None:
        settled = {
            "known": time.settled_timeline,
            "timeline": time.timeline,
            "correction_us": correction // timedelta(microseconds=1),
            "server_at": time.at,
        }
        await self._fetch(self._statements.settle_clock, settled, timeout_s=self._timeout_s, repeatable=False)
