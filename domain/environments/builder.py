"""The background task that builds versions: takes one, makes its tree, tries it, and stores it."""

import asyncio
import contextlib
from collections.abc import Sequence

from attrs import define, evolve, field, frozen

from domain.clock import Clock, IdGenerator
from domain.environments.build import (
    ATTEMPTS_MAX,
    BuildClaim,
    BuildEnd,
    BuildFacts,
    BuildFailed,
    last_of,
)
from domain.environments.ports import (
    BuildQueue,
    ClaimedBuild,
    MadeTree,
    Platforms,
    TreeMaker,
    TreeStore,
    TreeTrial,
    TrialFailed,
)
from domain.errors import DomainError
from domain.scripts.language import Language

_END_ATTEMPTS = 5
_FAILURES_MAX = 8


@frozen
class BuildTimes:
    """Seconds between looks for work, between renewals of a lease, and between looks for new lines of a log."""

    pause_s: float = 5.0
    renewed_every_s: float = 10.0
    log_every_s: float = 1.0


@define(eq=False)
class BuildStats:
    """Builds that have ended, by status, and how long they took."""

    ready: int = 0
    failed: int = 0
    lost: int = 0
    """Builds that another builder has taken or begins anew, or whose end was not stored."""
    seconds: float = 0.0
    is_building: bool = False
    failures: dict[str, str] = field(factory=dict)
    """Why the last builds failed, by version: at most _FAILURES_MAX of them."""

    def end(self, version: str, end: BuildEnd) -> None:
        """Count a build whose end is stored."""
        self.failures.pop(version, None)
        if end.digest is not None:
            self.ready += 1
            return
        self.failed += 1
        self.failures[version] = end.facts.reason or ""
        if len(self.failures) > _FAILURES_MAX:
            del self.failures[next(iter(self.failures))]


@define(eq=False)
class _Log:
    """What tools have written so far. `is_new` says whether there is more than was stored."""

    text: str = ""
    is_new: bool = False

    def add(self, text: str) -> None:
        self.text = last_of(self.text + text)
        self.is_new = True


@define(eq=False)
class Builder:
    """Builds one version at a time. Any number of hosts may build; a lease keeps them from the same version.

    A kill leaves a lease that ends by itself, and the next builder begins anew. Without a `trial` no preload list is
    tried.
    """

    _clock: Clock
    _ids: IdGenerator
    _queue: BuildQueue
    _trees: TreeStore
    _maker: TreeMaker
    _platforms: Platforms
    _languages: Sequence[Language]
    _memory_mb: int
    _trial: TreeTrial | None = None
    _times: BuildTimes = BuildTimes()
    stats: BuildStats = field(factory=BuildStats, init=False)
    _woken: asyncio.Event = field(factory=asyncio.Event, init=False)

    def wake(self) -> None:
        """Look for a version to build at once."""
        self._woken.set()

    async def run(self) -> None:
        """Build for ever; failures of the database are retried after a pause."""
        while True:
            self._woken.clear()
            built = False
            for language in self._languages:
                with contextlib.suppress(DomainError):
                    built = await self.build_next(language) or built
            if not built:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), self._times.pause_s)

    async def build_next(self, language: Language) -> bool:
        """Build the next version of a language; return whether there was one.

        Raises StorageUnavailable, Overloaded or RuntimeUnavailable; then another builder begins anew.
        """
        platform, now = await self._platforms.of(language), self._clock.now()
        build = await self._queue.claim(BuildClaim(self._ids.new(now), language, platform, now))
        if build is None:
            return False
        started_s = asyncio.get_running_loop().time()
        self.stats.is_building = True
        try:
            await self._build(build)
        except DomainError:
            self.stats.lost += 1
            raise
        finally:
            self.stats.is_building = False
            self.stats.seconds += asyncio.get_running_loop().time() - started_s
        return True

    async def _build(self, build: ClaimedBuild) -> None:
        log = _Log()
        if build.attempt > ATTEMPTS_MAX:
            reason = (
                f"a build began {ATTEMPTS_MAX} times and none ended: the host was stopped, or the database or the "
                "runtime was unavailable"
            )
            await self._end(build, BuildEnd(BuildFacts.failed(reason)), log)
            return
        making = asyncio.ensure_future(self._made(build, log))
        keeping = asyncio.ensure_future(self._keep(build, log))
        try:
            await asyncio.wait([making, keeping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (keeping, making):
                task.cancel()
                await asyncio.wait([task])
        if making.cancelled():
            self.stats.lost += 1
            return
        await self._end(build, making.result(), log)

    async def _made(self, build: ClaimedBuild, log: _Log) -> BuildEnd:
        try:
            async with self._maker.making(build.version, log.add) as made:
                facts = await self._tried(build, made)
                await self._store(made)
                return BuildEnd(facts, made.stored.digest)
        except (BuildFailed, TrialFailed) as error:
            log.add(f"{error}\n")
            return BuildEnd(BuildFacts.failed(str(error)))

    async def _tried(self, build: ClaimedBuild, made: MadeTree) -> BuildFacts:
        stored = made.stored
        facts = BuildFacts(bytes=stored.size, files=stored.files, packed_bytes=stored.packed_size, dropped=made.dropped)
        if self._trial is None or not build.version.preload:
            return facts
        version = build.version
        took = await self._trial.trial(version.language, made.path, version.preload, self._memory_mb)
        return evolve(
            facts, cpu_ms=took.cpu_ms, private_mb=took.private_mb, data_mb=took.data_mb, mapped_mb=took.mapped_mb
        )

    async def _store(self, made: MadeTree) -> None:
        """Store the chunks, each in a transaction of its own; the tree is not found before the build ends with it."""
        await self._trees.begin(made.stored, self._clock.now())
        for seq in range(made.stored.chunks):
            await self._trees.write(made.stored.digest, seq, await made.chunk(seq))

    async def _keep(self, build: ClaimedBuild, log: _Log) -> None:
        """Renew the lease and store the log until the build is another builder's."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            if log.is_new or loop.time() >= due_s:
                log.is_new = False
                with contextlib.suppress(DomainError):
                    if not await self._queue.renew(build, log.text, self._clock.now()):
                        return
                    due_s = loop.time() + self._times.renewed_every_s
            await asyncio.sleep(self._times.log_every_s)

    async def _end(self, build: ClaimedBuild, end: BuildEnd, log: _Log) -> None:
        """Store the end; without the database, another builder begins anew once the lease has ended."""
        for attempt in range(_END_ATTEMPTS):
            try:
                is_ended = await self._queue.end(build, end, log.text, self._clock.now())
            except DomainError:
                await asyncio.sleep(attempt * self._times.log_every_s)
                continue
            if is_ended:
                self.stats.end(str(build.version), end)
                return
            break
        self.stats.lost += 1
