"""The buckets of a database whose nodes this process does not know: it cannot find the rows in them."""

import asyncio
import contextlib

from attrs import define, field

from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway
from domain.errors import Unavailable

_INTERVAL_S = 10.0
"""Buckets begin 60 s after they are stored."""

_TIMEOUT_S = 0.7


@define(eq=False)
class UnknownBuckets:
    """Looks whether there are any. Once there are, that stays so until the process ends: it needs another setting."""

    _gateway: Gateway
    _select: Statement
    are_there: bool = field(default=False, init=False)
    """Whether they were seen."""

    async def look(self, timeout_s: float = _TIMEOUT_S) -> bool:
        """Look, and return whether there are any; raises what `fetch` raises."""
        if not self.are_there:
            self.are_there = bool(await self._gateway.fetch(self._select, {}, timeout_s=timeout_s))
        return self.are_there

    async def run(self) -> None:
        """Look until there are some; a database that is away is asked again."""
        while not self.are_there:
            with contextlib.suppress(Unavailable):
                if await self.look():
                    return
            await asyncio.sleep(_INTERVAL_S)
