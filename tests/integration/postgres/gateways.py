"""A gateway whose statements a test can steer, around a real one."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway
from domain.errors import StorageUnavailable

Rows = list[tuple[Any, ...]]
Run = Callable[[], Awaitable[Rows]]


class SteeredGateway:
    """Passes statements on; each function in `steps[name]` replaces one run of that statement, and may run it or fail."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.steps: dict[str, list[Callable[[Run], Awaitable[Rows]]]] = {}
        self.statements: list[str] = []

    async def fetch(self, statement: Statement, parameters: Mapping[str, object], **options: Any) -> Rows:
        self.statements.append(statement.name)

        async def run() -> Rows:
            return await self._gateway.fetch(statement, parameters, **options)

        steps = self.steps.get(statement.name)
        return await (steps.pop(0)(run) if steps else run())


async def lose_response(run: Run) -> Rows:
    """Run the statement, and lose its response."""
    await run()
    raise StorageUnavailable(stored="unknown", retry_after_ms=None)


async def lose_statement(_: Run) -> Rows:
    """Lose the statement, which looks like a lost response."""
    raise StorageUnavailable(stored="unknown", retry_after_ms=None)


async def time_out(_: Run) -> Rows:
    """Time out before anything is stored."""
    raise StorageUnavailable(stored="no")


async def fail_to_read(_: Run) -> Rows:
    """Fail like a read."""
    raise StorageUnavailable


async def see_nothing(_: Run) -> Rows:
    """Return no rows, like a snapshot that is too old."""
    return []


async def skip(_: Run) -> Rows:
    """Return that the row of the only call is locked."""
    return [(1, None)]
