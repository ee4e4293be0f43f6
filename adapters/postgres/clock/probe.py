"""The probe of the database's clock."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from adapters.postgres.connections.connection import Statement

Probe = Callable[[], Awaitable[datetime]]


class Fetch(Protocol):
    """The part of the gateway that the probe needs."""

    async def __call__(
        self, statement: Statement, parameters: Mapping[str, object], *, timeout_s: float | None, repeatable: bool
    ) -> list[tuple[Any, ...]]:
        """Run a statement."""
        ...


def database_time(fetch: Fetch, statement: Statement, timeout_s: float) -> Probe:
    """Return a probe that runs `statement` once, and returns the instant in its only row."""

    async def probe() -> datetime:
        rows = await fetch(statement, {}, timeout_s=timeout_s, repeatable=False)
        instant: datetime = rows[0][0]
        return instant

    return probe
