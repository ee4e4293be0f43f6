"""Gateways that a test can lead astray, around a real one."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from adapters.postgres.gateway import Gateway
from adapters.postgres.statement import Statement
from domain.errors import StorageUnavailable

Rows = list[tuple[Any, ...]]
Run = Callable[[], Awaitable[Rows]]


class LedGateway:
    """Passes every statement on; `lead[name]` is asked first, once for each call, and may run it, or not, or fail."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.lead: dict[str, list[Callable[[Run], Awaitable[Rows]]]] = {}
        self.asked: list[str] = []

    async def fetch(self, statement: Statement, parameters: Mapping[str, object], **options: Any) -> Rows:
        self.asked.append(statement.name)

        async def run() -> Rows:
            return await self._gateway.fetch(statement, parameters, **options)

        leads = self.lead.get(statement.name)
        return await (leads.pop(0)(run) if leads else run())


async def lose_the_answer(run: Run) -> Rows:
    """Let the statement be executed, and its answer be lost."""
    await run()
    raise StorageUnavailable(stored="unknown", retry_after_ms=None)


async def lose_the_statement(_: Run) -> Rows:
    """Lose the statement on the way, which nobody can tell from a lost answer."""
    raise StorageUnavailable(stored="unknown", retry_after_ms=None)


async def time_out(_: Run) -> Rows:
    """Do nothing in time."""
    raise StorageUnavailable(stored="no")


async def fail_to_read(_: Run) -> Rows:
    """Fail as a read does."""
    raise StorageUnavailable


async def see_nothing(_: Run) -> Rows:
    """Answer as a snapshot that is too old."""
    return []


async def skip(_: Run) -> Rows:
    """Answer that the row of the only call was locked."""
    return [(1, None)]
