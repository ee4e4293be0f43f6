"""A database of several buckets, each in memory."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count
from uuid import UUID

from attrs import define, evolve, field

from adapters.buckets.directory import Directory
from adapters.buckets.directory import Storage as BucketStorage
from adapters.buckets.executions import BucketExecutions, BucketKeyedExecutions, BucketStates
from adapters.buckets.files import BucketFiles
from adapters.buckets.ids import BucketIds, InBucket
from adapters.buckets.queue import BucketQueue
from adapters.buckets.schedules import BucketSchedules
from adapters.buckets.sessions import BucketHiddenSessions, BucketKeyedSessions, BucketSessions
from adapters.memory.announcer import MemoryAnnouncer
from adapters.memory.audit import MemoryAudit
from adapters.memory.executions import MemoryExecutionRepository
from adapters.memory.files import MemoryFileRepository
from adapters.memory.functions import MemoryFunctionRepository
from adapters.memory.keyed_calls import MemoryKeyedExecutionRepository, MemoryKeyedSessionRepository
from adapters.memory.limits import MemoryUsageReader
from adapters.memory.live_output import MemoryLiveOutput
from adapters.memory.manual_clock import ManualClock
from adapters.memory.queue import MemoryExecutionQueue
from adapters.memory.schedules import MemoryScheduleRepository
from adapters.memory.sequential_ids import SequentialIds
from adapters.memory.sessions import MemoryHiddenSessionRepository, MemorySessionPurger, MemorySessionRepository
from adapters.memory.states import MemoryStateRepository
from adapters.memory.store import MemoryStore
from adapters.memory.usage import MemoryExecutionCounts
from adapters.memory.webhooks import MemoryDeliveryQueue, MemoryWebhookRepository, MemoryWebhookStore
from domain.access.owner_move import MoveStep, OwnedData, OwnerMover, OwnerPurger
from domain.audit import Act
from domain.buckets.bucket_map import SETTLING, Bucket, BucketMap, OwnerMove
from domain.buckets.ports import BucketRegister
from domain.identity import Owner, SessionRef
from domain.scripts.language import LanguageTitle
from domain.sessions.session import Session
from domain.timeline import ClockReading, Timeline, TimelineReader
from domain.webhooks.webhook import Webhook
from tests.contracts.schedule_repository import HISTORY_MAX
from tests.contracts.session_repository import EXAMINED_MAX
from tests.contracts.storage import Storage

LONG_AGO = ManualClock().now() - timedelta(days=400)
PAUSE = timedelta(seconds=4)
FOUR = [Bucket(number, LONG_AGO) for number in (1, 2, 3)]
"""With HOME they are four."""


@define
class Announced(BucketRegister):
    """What the database says of its buckets."""

    buckets: Sequence[Bucket] = ()
    failure: Exception | None = None
    moves: dict[tuple[Owner, Owner], datetime] = field(factory=dict)
    _first: dict[tuple[Owner, Owner], datetime] = field(factory=dict)

    async def read(self) -> BucketMap:
        if self.failure is not None:
            raise self.failure
        return BucketMap(self.buckets, [OwnerMove(*owners, last_at) for owners, last_at in self.moves.items()])

    async def announce(self, source: Owner, target: Owner, now: datetime) -> datetime:
        self.moves[source, target] = now
        return self._first.setdefault((source, target), now)

    async def forget(self, move: OwnerMove) -> None:
        if self.moves.get((move.source, move.target)) == move.last_at:
            del self.moves[move.source, move.target], self._first[move.source, move.target]


@define
class Owners(OwnerMover, OwnerPurger):
    """Moves and erases the sessions of an owner with their keys, each in a step, and webhooks."""

    _store: MemoryStore
    _webhooks: MemoryWebhookStore

    async def count(self, owner: Owner) -> Mapping[OwnedData, int]:
        return dict.fromkeys(OwnedData, 1) | {OwnedData.SESSIONS: len(self._of(owner))}

    async def collisions(self, source: Owner, target: Owner) -> Sequence[LanguageTitle]:
        return []

    async def oldest(self, owner: Owner) -> datetime | None:
        self._store.require_available()
        return min((session.created_at for session in self._of(owner)), default=None)

    async def move(self, source: Owner, target: Owner, act: Act, *, functions: bool = True) -> AsyncIterator[MoveStep]:
        for session in self._of(source):
            self._store.put(evolve(session, ref=SessionRef(target, session.ref.session_id)))
            yield MoveStep(OwnedData.SESSIONS, 1, 1)
        for owner, *place in [each for each in self._store.keys if each[0] == source]:
            call = self._store.keys.pop((owner, *place))
            self._store.keys.setdefault((target, *place), call)
        for webhook in self._webhooks_of(source):
            self._webhooks.put(evolve(webhook, owner=target, revision=webhook.revision + 1))
        yield MoveStep(OwnedData.WEBHOOKS, 1, 1)
        if functions:
            yield MoveStep(OwnedData.FUNCTIONS, 1, 1)

    async def purge(self, owner: Owner, act: Act) -> AsyncIterator[MoveStep]:
        for session in self._of(owner):
            del self._store.sessions[session.ref.session_id]
            yield MoveStep(OwnedData.SESSIONS, 1, 1)
        for webhook in self._webhooks_of(owner):
            del self._webhooks.webhooks[webhook.webhook_id]

    def _webhooks_of(self, owner: Owner) -> Sequence[Webhook]:
        return [each for each in self._webhooks.webhooks.values() if each.owner == owner]

    def _of(self, owner: Owner) -> Sequence[Session]:
        return [each for each in self._store.sessions.values() if each.ref.owner == owner]


@define
class Traces(TimelineReader):
    """Finds sessions."""

    _store: MemoryStore

    async def read(self, identifier: UUID) -> Timeline:
        now = ManualClock().now()
        return Timeline(identifier, ClockReading(now, 0, 0), self._store.sessions.get(identifier))


@define(eq=False)
class World:
    """Buckets of which each has a store of its own, and the routers over them.

    New sessions get the buckets in turn, so that things that belong together lie apart.
    """

    announced: Announced = field(factory=lambda: Announced(FOUR))
    only: int | None = None
    """The bucket of all new sessions, if it has begun."""
    clock: ManualClock = field(factory=ManualClock)
    now_known: ManualClock = field(factory=ManualClock)
    """The clock by which what was read of the buckets ages."""
    stores: dict[int, MemoryStore] = field(factory=dict, init=False)
    functions: MemoryFunctionRepository = field(factory=MemoryFunctionRepository, init=False)
    away: set[int] = field(factory=set, init=False)
    _turns: Iterator[int] = field(factory=count, init=False)
    made: list[int] = field(factory=list, init=False)
    sent: dict[int, MemoryWebhookStore] = field(factory=dict, init=False)
    files: dict[int, MemoryFileRepository] = field(factory=dict, init=False)
    audits: dict[int, MemoryAudit] = field(factory=dict, init=False)
    queues: list[MemoryExecutionQueue] = field(factory=list, init=False)
    counts: list[MemoryExecutionCounts] = field(factory=list, init=False)
    directory: Directory = field(init=False)
    ids: BucketIds = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.directory = Directory(self._bucket(0), self.now_known, PAUSE, self.announced, self._bucket)
        self.ids = BucketIds(SequentialIds(), self.directory, self._chosen)

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
            queue=BucketQueue(self.directory, timedelta(0)),
            schedules=BucketSchedules(self.directory),
            states=BucketStates(self.directory),
            files=BucketFiles(self.directory),
        )

    def _chosen(self, numbers: Sequence[int]) -> int:
        return self.only if self.only in numbers else numbers[next(self._turns) % len(numbers)]

    def _bucket(self, number: int) -> BucketStorage:
        self.made.append(number)
        store = self.stores[number] = MemoryStore()
        if number == 0:
            store.functions = self.functions.functions
        files = self.files[number] = MemoryFileRepository()
        store.on_counted = lambda finished: files.complete_outputs(finished, self.clock.now())
        store.on_erased = files.remove_outputs
        sessions = MemorySessionRepository(store, EXAMINED_MAX)
        executions = MemoryExecutionRepository(store, self.clock)
        webhooks = self.sent.setdefault(number, MemoryWebhookStore())
        ids = InBucket(SequentialIds(), number)
        queue = MemoryExecutionQueue(store, executions, ids, announcer=MemoryAnnouncer(webhooks, ids))
        self.queues.append(queue)
        self.counts.append(MemoryExecutionCounts(store, webhooks))
        return BucketStorage(
            number,
            sessions,
            MemoryKeyedSessionRepository(store, sessions),
            MemoryHiddenSessionRepository(store),
            executions,
            MemoryKeyedExecutionRepository(store, executions),
            MemoryLiveOutput(store),
            MemoryStateRepository(store),
            files,
            queue,
            MemoryScheduleRepository(store, queue, HISTORY_MAX),
            MemoryUsageReader(store, EXAMINED_MAX, webhooks),
            self.counts[-1],
            MemoryWebhookRepository(webhooks, self.audits.setdefault(number, queue.audit)),
            MemoryDeliveryQueue(webhooks),
            queue.audit,
            MemorySessionPurger(store, queue.audit, webhooks),
            Owners(store, webhooks),
            Owners(store, webhooks),
            Traces(store),
            self.functions,
            lambda: number in self.away,
        )
