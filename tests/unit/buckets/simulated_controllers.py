"""Many controllers of one distributed database in virtual time, seeded, under faults; and what must hold of their calls.

Each controller has a clock of its own, reads the buckets every 10 s by the code of the service, and may be cut off from
home. Nodes are away for a while, responses are lost, and an operator raises the number of buckets meanwhile.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from attrs import define, evolve, field, frozen

from adapters.buckets.directory import Directory, Storage
from adapters.buckets.ids import BucketIds
from adapters.buckets.queue import BucketQueue
from adapters.buckets.sessions import BucketKeyedSessions, BucketSessions
from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from domain.buckets.bucket_map import ANNOUNCED, HOME, Bucket, BucketMap
from domain.clock import Clock
from domain.errors import DomainError, StorageUnavailable, Unavailable
from domain.idempotency import IdempotencyKey
from domain.identity import Owner, SessionRef
from domain.sessions.ports import SessionFilter
from tests.contracts.execution_queue import LONG, RETENTION, QueueOfOne
from tests.contracts.keyed_call_repository import made_of
from tests.contracts.storage import SCRIPT
from tests.contracts.storage import Storage as Repositories
from tests.unit.buckets.world import PAUSE, Announced, World

START = ManualClock().now()
REQUEST_S = PAUSE.total_seconds() / 2
SLOW = ("sessions", "keyed_sessions", "queue")
"""The ports of a bucket whose calls take time and may fail."""


@frozen
class Plan:
    """Seconds, and parts of 1. Clocks differ by up to twice `clock_off_s`, which SETTLING has to cover."""

    controllers: int = 20
    buckets: Sequence[int] = (4, 16)
    """How many there are after each raise."""

    announced_s: float = ANNOUNCED.total_seconds()
    raised_each_s: float = 90.0
    clients: int = 10
    owners: int = 5
    keys: int = 8
    """Keys of an owner that calls are repeated with."""

    clock_off_s: float = 2.0
    latency_s: float = 0.2
    lost: float = 0.02
    """Responses that are lost after the call has taken effect."""

    away_each_s: float = 20.0
    away_s: float = 15.0
    cut_off_each_s: float = 10.0
    cut_off_s: float = 80.0
    """How long a controller cannot read the buckets at most."""


@define
class LoopClock(Clock):
    """The time of the loop; `off_s` is how far the clock of its controller is ahead."""

    off_s: float = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=asyncio.get_running_loop().time() + self.off_s)


@define(eq=False)
class SlowPort:
    """A port of a bucket whose calls take time, fail while its node is away, and may lose their response."""

    _port: Any
    _number: int
    _site: "Site"

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **named: Any) -> Any:
            await self._site.pass_way(self._number)
            found = await getattr(self._port, name)(*arguments, **named)
            await self._site.pass_way(self._number, "unknown")
            return found

        return call


@define(eq=False)
class Register(Announced):
    """What one controller reads of the buckets."""

    is_cut_off: bool = False
    site: Any = None

    async def read(self) -> BucketMap:
        if self.is_cut_off:
            raise StorageUnavailable
        await self.site.pass_way(HOME)
        return self.site.map


@define(eq=False)
class Controller:
    """One controller: its clock, its directory, and its repositories."""

    register: Register
    directory: Directory
    repositories: Repositories


@define(eq=False)
class Site:
    """A database of buckets, and its controllers."""

    plan: Plan
    random: random.Random
    map: BucketMap = field(factory=BucketMap, init=False)
    away: set[int] = field(factory=set, init=False)
    controllers: list[Controller] = field(factory=list, init=False)
    _ids: SequentialIds = field(factory=SequentialIds, init=False)
    _world: World = field(init=False)
    _storages: dict[int, Storage] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._world = World(announced=Announced(()), clock=LoopClock(), now_known=LoopClock())  # type: ignore[arg-type]
        for _ in range(self.plan.controllers):
            self.controllers.append(self._controller())

    async def pass_way(self, number: int, stored: str = "no") -> None:
        """Wait as a message to or from a node does; raises StorageUnavailable."""
        await asyncio.sleep(self.random.uniform(0, self.plan.latency_s / 2))
        if number in self.away or (stored == "unknown" and self.random.random() < self.plan.lost):
            raise StorageUnavailable(stored=stored)

    async def raise_buckets(self, numbers: int) -> None:
        """Announce further buckets, so that there are so many."""
        from_at = LoopClock().now() + timedelta(seconds=self.plan.announced_s)
        known = self.map.buckets
        buckets = [*known, *(Bucket(number, from_at) for number in range(len(known) + 1, numbers + 1))]
        self._world.announced.buckets = buckets
        await self._world.directory.refresh()
        self.map = BucketMap(buckets)

    def storage(self, number: int) -> Storage:
        """Return the storage of a bucket, which all controllers share."""
        if number not in self._storages:
            whole = self._world.directory.home if number == HOME else self._world.directory.at(number)
            slow = {name: SlowPort(getattr(whole, name), number, self) for name in SLOW}
            self._storages[number] = evolve(whole, **slow, is_away=lambda: number in self.away)
        return self._storages[number]

    def _controller(self) -> Controller:
        off_s = self.random.uniform(-self.plan.clock_off_s, self.plan.clock_off_s)
        clock, register = LoopClock(off_s), Register(site=self)
        directory = Directory(self.storage(HOME), clock, PAUSE, register, self.storage)
        repositories = Repositories(
            BucketSessions(directory),
            None,  # type: ignore[arg-type]  # no execution runs by itself
            clock,  # type: ignore[arg-type]
            BucketIds(self._ids, directory, self.random.choice),
            keyed_sessions=BucketKeyedSessions(directory),
            queue=BucketQueue(directory),
        )
        return Controller(register, directory, repositories)


@define(eq=False)
class Ledger:
    """What was acknowledged, and what was found not to hold."""

    sessions: dict[Owner, set[UUID]] = field(factory=lambda: defaultdict(set))
    keys: dict[tuple[Owner, str], UUID] = field(factory=dict)
    accepted: set[UUID] = field(factory=set)
    ended: Counter[UUID] = field(factory=Counter)
    calls: Counter[str] = field(factory=Counter)
    refused: Counter[str] = field(factory=Counter)
    problems: list[str] = field(factory=list)

    def made(self, owner: Owner, session_id: UUID) -> None:
        self.sessions[owner].add(session_id)

    def keyed(self, owner: Owner, key: str, session_id: UUID) -> None:
        first = self.keys.setdefault((owner, key), session_id)
        if first != session_id:
            self.problems.append(f"the key {key} of {owner} took effect twice: {first} and {session_id}")
        self.made(owner, session_id)


@define(eq=False)
class Simulation:
    """Clients, an operator and faults on one site."""

    plan: Plan
    seed: int
    site: Site = field(init=False)
    ledger: Ledger = field(factory=Ledger)
    _random: random.Random = field(init=False)
    _is_over: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self.site = Site(self.plan, self._random)

    async def run(self) -> Ledger:
        """Let all work for the time of the plan, heal all faults, and judge what is there."""
        await self.site.raise_buckets(0)
        readers = [asyncio.ensure_future(self._reading(each)) for each in self.site.controllers]
        await asyncio.sleep(15)
        tasks = [self._repeating(self._client) for _ in range(self.plan.clients)]
        claimers = [asyncio.ensure_future(self._claiming()) for _ in range(max(2, self.plan.clients // 8))]
        faults = [self._repeating(self._node_away), self._repeating(self._cut_off)]
        working = [asyncio.ensure_future(each) for each in [*tasks, *faults]]
        for buckets in self.plan.buckets:
            await asyncio.sleep(self.plan.raised_each_s)
            await self.site.raise_buckets(buckets)
        await asyncio.sleep(self.plan.raised_each_s + ANNOUNCED.total_seconds())
        await _cancelled(working)
        self._heal()
        await asyncio.sleep(20)
        self._is_over = True
        await asyncio.gather(*claimers)
        await self._judge()
        await _cancelled(readers)
        return self.ledger

    def _heal(self) -> None:
        self.site.away.clear()
        for each in self.site.controllers:
            each.register.is_cut_off = False

    async def _reading(self, controller: Controller) -> None:
        await asyncio.sleep(self._random.uniform(0, 10))
        await controller.directory.run()

    async def _repeating(self, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            await act()

    async def _client(self) -> None:
        calls = (self._initialize, self._keyed, self._keyed, self._get, self._list, self._accept)
        call = self._random.choice(calls)
        owner = Owner(f"owner {self._random.randrange(self.plan.owners)}")
        await asyncio.sleep(self._random.uniform(0, 2))
        self.ledger.calls[call.__name__] += 1
        try:
            async with asyncio.timeout(REQUEST_S):
                await call(self._any().repositories, owner)
        except (Unavailable, TimeoutError) as error:
            self.ledger.refused[f"{call.__name__}: {type(error).__name__}"] += 1
        except DomainError as error:
            self.ledger.problems.append(f"{call.__name__}: {error!r}")

    def _any(self) -> Controller:
        return self._random.choice(self.site.controllers)

    async def _initialize(self, at: Repositories, owner: Owner) -> None:
        session = at.new_session(owner, **LONG)
        await at.sessions.add(session, SCRIPT)
        self.ledger.made(owner, session.ref.session_id)

    async def _keyed(self, at: Repositories, owner: Owner) -> None:
        assert at.keyed_sessions is not None
        key = f"key {self._random.randrange(self.plan.keys)}"
        session = at.new_session(owner, key, **LONG)
        found = await at.keyed_sessions.initialize(made_of(session), session, SCRIPT, IdempotencyKey(key, "0" * 64))
        self.ledger.keyed(owner, key, found.ref.session_id)

    async def _get(self, at: Repositories, owner: Owner) -> None:
        known = sorted(self.ledger.sessions[owner])
        if known:
            await self._found(at, owner, self._random.choice(known))

    async def _found(self, at: Repositories, owner: Owner, session_id: UUID) -> None:
        try:
            await at.sessions.get(SessionRef(owner, session_id))
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  # each other one is a problem
            self.ledger.problems.append(f"{session_id} of {owner} was not found: {error!r}")

    async def _list(self, at: Repositories, owner: Owner) -> None:
        wanted, found = set(self.ledger.sessions[owner]), set()
        after: UUID | None = None
        while True:
            page = await at.sessions.page(owner, SessionFilter(at.clock.now()), after, 50)
            found |= {each.ref.session_id for each in page.items}
            after = page.next_after
            if after is None:
                break
        if wanted - found:
            self.ledger.problems.append(f"a list of {owner} lacks {len(wanted - found)} sessions")

    async def _accept(self, at: Repositories, owner: Owner) -> None:
        known = sorted(self.ledger.sessions[owner])
        if not known:
            return
        process = QueueOfOne(at)
        entry = process.entry(SessionRef(owner, self._random.choice(known)))
        await process.queue.accept(entry, timedelta(minutes=5), RETENTION)
        self.ledger.accepted.add(entry.execution_id)

    async def _claim(self) -> None:
        """Claim, run and end executions as a dispatcher does; a claim whose response was lost is put back."""
        await asyncio.sleep(self._random.uniform(0, 1))
        process = QueueOfOne(self._any().repositories)
        wish = process.wish(20, owner_max=20)
        try:
            claims = await process.queue.claim(wish)
        except StorageUnavailable as error:
            if error.stored == "unknown":
                await self._until_done(lambda: process.queue.unclaim(wish.claim_id, process.storage.clock.now()))
            return
        except Unavailable:
            return
        for claimed in claims.entries:
            self.ledger.ended[claimed.entry.execution_id] += 1
            finished = process.storage.finished(claimed.execution)
            await self._until_done(lambda: process.queue.finish(finished, claimed.entry))  # noqa: B023  # awaited here

    async def _claiming(self) -> None:
        """Claim until the end. No process ends within a claim: what it has claimed would wait for its deadline."""
        while not self._is_over:
            await self._claim()

    async def _until_done(self, act: Callable[[], Awaitable[Any]]) -> None:
        while True:
            try:
                await act()
            except Unavailable:
                await asyncio.sleep(0.5)
            else:
                return

    async def _node_away(self) -> None:
        await asyncio.sleep(self._random.uniform(0, 2 * self.plan.away_each_s))
        number = self._random.choice(self.site.map.all_numbers)
        self.site.away.add(number)
        await asyncio.sleep(self._random.uniform(0, self.plan.away_s))
        self.site.away.discard(number)

    async def _cut_off(self) -> None:
        await asyncio.sleep(self._random.uniform(0, 2 * self.plan.cut_off_each_s))
        controller = self._any()
        controller.register.is_cut_off = True
        await asyncio.sleep(self._random.uniform(0, self.plan.cut_off_s))
        controller.register.is_cut_off = False

    async def _judge(self) -> None:
        """Read everything at several controllers, and end what waits."""
        site, self.site.plan = self.site, evolve(self.plan, lost=0.0)
        for _ in range(200):
            await self._claim()
        at = [each.repositories for each in self._random.sample(site.controllers, min(3, len(site.controllers)))]
        for owner, known in self.ledger.sessions.items():
            for each in at:
                await self._list(each, owner)
                await asyncio.gather(*(self._found(each, owner, session_id) for session_id in known))
        left = self.ledger.accepted - self.ledger.ended.keys()
        if left:
            self.ledger.problems.append(f"{len(left)} of {len(self.ledger.accepted)} executions were never run")
        twice = [each for each, times in self.ledger.ended.items() if times > 1]
        if twice:
            self.ledger.problems.append(f"{len(twice)} executions ran twice")


async def _cancelled(tasks: Sequence[asyncio.Future[None]]) -> None:
    for each in tasks:
        each.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended
