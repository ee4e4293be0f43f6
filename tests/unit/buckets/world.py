"""A database of several buckets, each in memory."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count

from attrs import define, field

from adapters.buckets.directory import Directory
from adapters.buckets.directory import Storage as BucketStorage
from adapters.buckets.executions import BucketExecutions, BucketKeyedExecutions
from adapters.buckets.ids import BucketIds
from adapters.buckets.sessions import BucketHiddenSessions, BucketKeyedSessions, BucketSessions
from adapters.memory.executions import MemoryExecutionRepository
from adapters.memory.functions import MemoryFunctionRepository
from adapters.memory.keyed_calls import MemoryKeyedExecutionRepository, MemoryKeyedSessionRepository
from adapters.memory.live_output import MemoryLiveOutput
from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from adapters.memory.sessions import MemoryHiddenSessionRepository, MemorySessionRepository
from adapters.memory.store import MemoryStore
from domain.buckets.bucket_map import SETTLING, Bucket
from domain.buckets.ports import BucketReader
from tests.contracts.session_repository import EXAMINED_MAX
from tests.contracts.storage import Storage

LONG_AGO = ManualClock().now() - timedelta(days=400)
PAUSE = timedelta(seconds=4)
FOUR = [Bucket(number, LONG_AGO) for number in (1, 2, 3)]
"""With HOME they are four."""


@define
class Announced(BucketReader):
    """The buckets that the database says it has."""

    buckets: Sequence[Bucket] = ()
    failure: Exception | None = None

    async def read(self) -> Sequence[Bucket]:
        if self.failure is not None:
            raise self.failure
        return self.buckets


@define(eq=False)
class World:
    """Buckets of which each has a store of its own, and the routers over them.

    New sessions get the buckets in turn, so that things that belong together lie apart.
    """

    announced: Announced = field(factory=lambda: Announced(FOUR))
    clock: ManualClock = field(factory=ManualClock)
    now_known: ManualClock = field(factory=ManualClock)
    """The clock by which what was read of the buckets ages."""
    stores: dict[int, MemoryStore] = field(factory=dict, init=False)
    functions: MemoryFunctionRepository = field(factory=MemoryFunctionRepository, init=False)
    away: set[int] = field(factory=set, init=False)
    made: list[int] = field(factory=list, init=False)
    directory: Directory = field(init=False)
    ids: BucketIds = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.directory = Directory(self._bucket(0), self.now_known, PAUSE, self.announced, self._bucket)
        turns = count()
        self.ids = BucketIds(SequentialIds(), self.directory, lambda numbers: numbers[next(turns) % len(numbers)])

    async def opened(self) -> "World":
        await self.directory.refresh()
        return self

    def later(self, span: timedelta) -> datetime:
        """Let time pass for all clocks."""
        self.clock.advance(span)
        self.now_known.advance(span)
        return self.clock.now()

    async def raised(self, *numbers: int) -> None:
        """Announce further buckets that get sessions from now on."""
        begun = [Bucket(number, self.clock.now() - SETTLING) for number in numbers]
        self.announced.buckets = [*self.announced.buckets, *begun]
        await self.directory.refresh()

    def storage(self) -> Storage:
        """Return the routers as the contracts want them."""
        return Storage(
            BucketSessions(self.directory),
            BucketExecutions(self.directory),
            self.clock,
            self.ids,
            hidden=BucketHiddenSessions(self.directory),
            functions=self.functions,
            keyed_sessions=BucketKeyedSessions(self.directory),
            keyed_executions=BucketKeyedExecutions(self.directory),
        )

    def _bucket(self, number: int) -> BucketStorage:
        self.made.append(number)
        store = self.stores[number] = MemoryStore()
        if number == 0:
            store.functions = self.functions.functions
        sessions = MemorySessionRepository(store, EXAMINED_MAX)
        executions = MemoryExecutionRepository(store, self.clock)
        return BucketStorage(
            number,
            sessions,
            MemoryKeyedSessionRepository(store, sessions),
            MemoryHiddenSessionRepository(store),
            executions,
            MemoryKeyedExecutionRepository(store, executions),
            MemoryLiveOutput(store),
            self.functions,
            lambda: number in self.away,
        )
