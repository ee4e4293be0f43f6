"""Writes that lock rows, and what becomes of those whose row somebody else has locked."""

import asyncio
import random
from collections.abc import Callable, Hashable, Sequence
from enum import Enum
from typing import Final, Generic, Literal, Protocol, TypeVar

from attrs import define, evolve

from adapters.postgres.batching.batch_keys import BatchKeys
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.connections.errors import StillLocked
from adapters.postgres.connections.observer import tell_caller
from adapters.postgres.gateway import PoolName
from domain.errors import StorageUnavailable

Call = TypeVar("Call")
Answer = TypeVar("Answer")
_Sent_contra = TypeVar("_Sent_contra", contravariant=True)
_Answered_co = TypeVar("_Answered_co", covariant=True)


class Skipped(Enum):
    """The answer to a call whose row was locked from outside."""

    SKIPPED = "skipped"


SKIPPED: Final = Skipped.SKIPPED


class Send(Protocol[_Sent_contra, _Answered_co]):
    """Sends a batch on a lane; on the lane "waiting" the statement waits for locks, on "main" it skips."""

    async def __call__(
        self, calls: Sequence[_Sent_contra], lane: PoolName
    ) -> Sequence[_Answered_co | Exception | Literal[Skipped.SKIPPED]]:
        """Return the answers in the order of the calls."""
        ...


@define
class _StuckRow:
    """A row that somebody holds for longer than a statement waits, and how many callers look at it now and then."""

    pause_s: float
    callers: int = 0


class LockingWrites(Generic[Call, Answer]):
    """Gathers writes of one kind; a call whose row is locked goes again, in a statement that waits for the lock.

    A row that cannot be had so is then looked at now and then, by all of its callers, so that it takes no part in the
    waiting of other rows. So a lock that is held from outside delays nobody but the callers of its own row.
    """

    def __init__(  # noqa: PLR0913  # each is one property of the kind of call
        self,
        name: str,
        send: Send[Call, Answer],
        *,
        key: Callable[[Call], Hashable],
        size: Callable[[Call], int],
        options: CoalescerOptions,
        exclusive: BatchKeys,
    ) -> None:
        async def skip(calls: Sequence[Call]) -> Sequence[Answer | Exception | Literal[Skipped.SKIPPED]]:
            return await send(calls, "main")

        async def wait(calls: Sequence[Call]) -> Sequence[Answer | Exception | Literal[Skipped.SKIPPED]]:
            return await send(calls, "waiting")

        self._key = key
        self._stuck: dict[Hashable, _StuckRow] = {}
        waits = evolve(options, concurrency=min(options.concurrency, _WAITING_MAX))
        self._passing: Coalescer[Call, Answer | Literal[Skipped.SKIPPED]] = Coalescer(
            name, skip, key=key, size=size, options=options, exclusive=exclusive
        )
        self._waiting: Coalescer[Call, Answer | Literal[Skipped.SKIPPED]] = Coalescer(
            f"{name}_waiting", wait, key=key, size=size, options=waits, exclusive=exclusive
        )

    async def ask(self, call: Call) -> Answer:
        """Return the answer to this call; raises what Coalescer.ask does."""
        answer = await self._passing.ask(call)
        if answer is SKIPPED:
            answer = await self._wait(call)
        if answer is SKIPPED:
            raise StorageUnavailable(stored="no")
        return answer

    @property
    def coalescers(self) -> Sequence[Coalescer[Call, Answer | Literal[Skipped.SKIPPED]]]:
        """Both of them, to be watched and closed."""
        return self._passing, self._waiting

    async def _wait(self, call: Call) -> Answer | Literal[Skipped.SKIPPED]:
        key = self._key(call)
        if key not in self._stuck:
            try:
                return await self._waiting.ask(call)
            except StillLocked as locked:
                self._stuck.setdefault(key, _StuckRow(locked.pause_s))
        return await self._look(call, key)

    async def _look(self, call: Call, key: Hashable) -> Answer | Literal[Skipped.SKIPPED]:
        """Ask now and then whether the row can be had."""
        row = self._stuck[key]
        row.callers += 1
        try:
            for _ in range(_LOOKS_MAX):
                await self._pause(row.pause_s)
                answer = await self._passing.ask(call)
                if answer is not SKIPPED:
                    return answer
        finally:
            row.callers -= 1
            if not row.callers:
                del self._stuck[key]
        return SKIPPED

    async def _pause(self, longest_s: float) -> None:
        pause_s = random.uniform(longest_s / 2, longest_s)  # noqa: S311  # keeps processes apart
        await asyncio.sleep(pause_s)
        tell_caller(f"{self._passing.name}_locked", pause_s)


_WAITING_MAX = 2
"""Statements that wait for locks at once; more would only hold more connections."""
_LOOKS_MAX = 20
"""As many take, with the wait before them, about half of a request's time."""
