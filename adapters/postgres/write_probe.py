"""The attempt of a write, for the check whether the process should get requests."""

import time
from collections.abc import Callable, Mapping

from attrs import define, field

from adapters.postgres.connections.faults import detail_of
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway
from domain.errors import Overloaded, StorageUnavailable
from domain.storage.faults import StorageFault

_TIMEOUT_S = 0.7
_INTERVAL_S = 5.0
_RETRY_S = 1.0
"""The interval after an attempt that reached no verdict: no connection, no schema, or no response in time."""

_VERDICTS = {StorageFault.READ_ONLY, StorageFault.RIGHT_MISSING, StorageFault.DISK_FULL}


@define(eq=False)
class WriteProbe:
    """Writes a row and rolls it back, at most once in five seconds; all callers share the verdict.

    A process calls it once at a time.
    """

    _gateway: Gateway
    _try_write: Statement
    _monotonic: Callable[[], float] = time.monotonic
    _failure: StorageUnavailable | None = field(default=None, init=False)
    _next_at_s: float = field(default=float("-inf"), init=False)

    async def facts(self) -> Mapping[str, object]:
        """Return whether the database accepted the latest write; `detail` is for operators."""
        now_s = self._monotonic()
        if now_s >= self._next_at_s:
            await self._try(now_s)
        if self._failure is None:
            return {"status": "ok"}
        return failing(self._failure)

    async def _try(self, now_s: float) -> None:
        self._next_at_s = now_s + _INTERVAL_S
        try:
            await self._gateway.fetch(self._try_write, {}, timeout_s=_TIMEOUT_S, repeatable=False)
        except Overloaded:
            self._next_at_s = now_s + _RETRY_S  # other writes are served, so the verdict stays
        except StorageUnavailable as error:
            self._failure = error
            if error.fault not in _VERDICTS:
                self._next_at_s = now_s + _RETRY_S
        else:
            self._failure = None


def failing(error: StorageUnavailable) -> Mapping[str, object]:
    """Return the facts of a component that fails because of the database."""
    detail = detail_of(error)
    return {"status": "failing", "reason": error.message, **({} if detail is None else {"detail": detail})}
