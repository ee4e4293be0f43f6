"""Writes that lock rows, and what becomes of those whose row somebody else has locked."""

from collections.abc import Callable, Hashable, Sequence
from enum import Enum
from typing import Final, Generic, Literal, Protocol, TypeVar

from attrs import evolve

from adapters.postgres.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.gateway import LaneName
from adapters.postgres.key_set import KeySet
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
        self, calls: Sequence[_Sent_contra], lane: LaneName
    ) -> Sequence[_Answered_co | Exception | Literal[Skipped.SKIPPED]]:
        """Return the answers in the order of the calls."""
        ...


class LockingWrites(Generic[Call, Answer]):
    """Gathers writes of one kind; a call whose row is locked goes again, in a statement that waits for the lock.

    So a lock that is held from outside delays nobody but the callers of its own row.
    """

    def __init__(  # noqa: PLR0913  # each is one property of the kind of call
        self,
        name: str,
        send: Send[Call, Answer],
        *,
        key: Callable[[Call], Hashable],
        size: Callable[[Call], int],
        options: CoalescerOptions,
        exclusive: KeySet,
    ) -> None:
        async def skip(calls: Sequence[Call]) -> Sequence[Answer | Exception | Literal[Skipped.SKIPPED]]:
            return await send(calls, "main")

        async def wait(calls: Sequence[Call]) -> Sequence[Answer | Exception | Literal[Skipped.SKIPPED]]:
            return await send(calls, "waiting")

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
            answer = await self._waiting.ask(call)
        if answer is SKIPPED:
            raise StorageUnavailable(stored="no")
        return answer

    @property
    def coalescers(self) -> Sequence[Coalescer[Call, Answer | Literal[Skipped.SKIPPED]]]:
        """Both of them, to be watched and closed."""
        return self._passing, self._waiting


_WAITING_MAX = 2
"""Statements that wait for locks at once; more would only hold more connections."""
