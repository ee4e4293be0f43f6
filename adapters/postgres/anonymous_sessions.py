"""A warning about sessions that no caller can reach once callers have to authenticate."""

import asyncio
from typing import Any

import structlog
from attrs import define

from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway
from domain.errors import DomainError
from domain.identity import ANONYMOUS

_COUNT_MAX = 100_000
_RETRY_S = 5.0
_TRIES = 60
_REMEDY = "Authentication is on, and no caller can reach them. Hand them over: pglambda owners move anonymous OWNER"

_log = structlog.get_logger(__name__)


@define(eq=False)
class AnonymousSessions:
    """Counts the sessions of `anonymous`, which were made without authentication."""

    _gateway: Gateway
    _count: Statement

    async def warn(self) -> None:
        """Log how many there are, once the database responds; it is tried for some minutes."""
        for _ in range(_TRIES):
            try:
                rows: list[Any] = await self._gateway.fetch(
                    self._count, {"owner": ANONYMOUS, "rows_max": _COUNT_MAX + 1}
                )
            except DomainError:
                await asyncio.sleep(_RETRY_S)
                continue
            if rows[0][0]:
                _log.warning("anonymous_sessions_found", sessions=_counted(rows[0][0]), remedy=_REMEDY)
            return


def _counted(number: int) -> str:
    return f"more than {_COUNT_MAX}" if number > _COUNT_MAX else str(number)
