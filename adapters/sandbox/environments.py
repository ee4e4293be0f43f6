"""Executions with packages: the zygotes of environments on this host, and the trees that they hold."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol, TypeAlias

from attrs import define, evolve, field

from adapters.sandbox.equipment import Equipment
from adapters.sandbox.runtime import LanguageRuntime
from adapters.sandbox.workers.process import WorkerProcess
from adapters.sandbox.zygote.launch import PreloadFailed
from adapters.sandbox.zygote.zygote_pool import ZygotePool
from domain.environments.ports import HeldTree, TreeCache
from domain.errors import DomainError, Overloaded
from domain.scripts.environment import Environment
from domain.scripts.language import Language

_QUEUE = "a zygote for an environment"
_USED_LATELY_S = 10.0
_PAUSE_S = 30.0
"""After a preload that failed, until the next try: each costs as much as the imports."""

EnvironmentKey: TypeAlias = tuple[Language, Environment]
Start: TypeAlias = Callable[[Equipment], Awaitable[WorkerProcess]]


class EnvironmentWorkers(Protocol):
    """The workers of sessions."""

    def has_workers(self, environment: Environment, *, running: bool) -> bool:
        """Return whether a worker of this environment is in a slot; with `running`, one that executes or starts."""
        ...

    def evict_environment(self, environment: Environment) -> None:
        """End the idle workers of this environment."""
        ...


@define(eq=False)
class OpenEnvironment:
    """An environment on this host, whose tree is held or is being fetched."""

    holding: asyncio.Task[HeldTree]
    used_at: float
    starting: int = 0
    """Starts of workers in progress."""
    equipment: Equipment | None = None
    failure: str = ""
    retries_at: float = 0.0


@define(eq=False)
class Environments:
    """Starts workers with packages. Each environment has a zygote of its own, and at most `zygotes_max` have one.

    The least recently used without a running execution gives way, with its idle workers, also if memory is short.
    """

    trees: TreeCache
    zygotes: ZygotePool
    workers: EnvironmentWorkers
    zygotes_max: int
    idle_s: float
    preloads: bool = True
    """Whether zygotes import packages. Otherwise each worker imports what its script needs."""
    now: Callable[[], float] = time.monotonic
    memory_bytes_max: int = sys.maxsize
    """What their zygotes may take together."""
    failures: int = field(default=0, init=False)
    """Preloads that failed."""
    _open: dict[EnvironmentKey, OpenEnvironment] = field(factory=dict, init=False)
    """The least recently used first."""
    _ending: set[asyncio.Task[None]] = field(factory=set, init=False)

    @property
    def count(self) -> int:
        """The number of environments that have a zygote, or may have one soon."""
        return len(self._open)

    def summary(self) -> Mapping[str, object]:
        """Describe the environments for operators; `failed` are those whose last preload failed, with the reason."""
        failed = {str(key[1]): each.failure for key, each in self._open.items() if each.failure}
        return {"open": len(self._open), "open_max": self.zygotes_max, "failed": failed}

    async def start(
        self, runtime: LanguageRuntime, environment: Environment, roots: Path | None, start: Start
    ) -> WorkerProcess:
        """Return a worker that has the packages of this environment.

        Raises RuntimeUnavailable, what the cache of trees raises, and Overloaded if all zygotes have executions.
        """
        opened = self._touched(runtime.language, environment)
        if opened.retries_at > self.now():
            raise runtime.unavailable(opened.failure)
        opened.starting += 1
        try:
            worker = await start(await self._equipment(opened, environment, roots))
        except PreloadFailed as error:
            self.failures += 1
            opened.failure = f"the packages of {environment} cannot be used: {error}"
            opened.retries_at = self.now() + _PAUSE_S
            raise runtime.unavailable(opened.failure) from error
        else:
            opened.failure = ""
            return worker
        finally:
            opened.starting -= 1
            if opened.holding.done() and (opened.holding.cancelled() or opened.holding.exception() is not None):
                self._open = {key: each for key, each in self._open.items() if each is not opened}

    def use(self, language: Language, environment: Environment) -> None:
        """Rank an environment as the most recently used one."""
        opened = self._open.pop((language, environment), None)
        if opened is not None:
            opened.used_at = self.now()
            self._open[language, environment] = opened

    def end_idle(self) -> None:
        """End the zygotes of environments that had no worker for a while."""
        used_before = self.now() - self.idle_s
        for key, opened in list(self._open.items()):
            is_needed = opened.starting or self.workers.has_workers(key[1], running=False)
            if opened.used_at < used_before and not is_needed:
                self._end(key)

    def relieve(self) -> None:
        """If memory is short, end the zygote of the least recently used environment that runs nothing.

        One that was used a moment ago stays: each start costs as much as its imports.
        """
        group = self.zygotes.group
        if self._takes_too_much or (group is not None and group.is_nearly_full()):
            used_before = self.now() - _USED_LATELY_S
            unused = self._unused()
            if unused is not None and self._open[unused].used_at < used_before:
                self._end(unused)

    async def close(self, grace_s: float) -> None:
        """Release every tree whose zygotes have ended; wait for that at most `grace_s`."""
        for key in list(self._open):
            self._end(key)
        if self._ending:
            await asyncio.wait(self._ending, timeout=grace_s)

    def _touched(self, language: Language, environment: Environment) -> OpenEnvironment:
        key = (language, environment)
        if key not in self._open:
            self._make_room()
            holding = asyncio.get_running_loop().create_task(self.trees.hold(environment.digest))
            holding.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._open[key] = OpenEnvironment(holding, self.now())
        self.use(language, environment)
        return self._open[key]

    async def _equipment(self, opened: OpenEnvironment, environment: Environment, roots: Path | None) -> Equipment:
        # A call that leaves does not stop the fetch of a tree: the next one needs it too.
        tree = await asyncio.shield(opened.holding)
        if opened.equipment is None:
            opened.equipment = Equipment(roots, tree.path, environment.preload if self.preloads else ())
        return opened.equipment

    def _make_room(self) -> None:
        while len(self._open) >= self.zygotes_max:
            self._end_unused()
        if self._open and self._takes_too_much:
            self._end_unused()

    @property
    def _takes_too_much(self) -> bool:
        return self.zygotes.packages_bytes > self.memory_bytes_max

    def _end_unused(self) -> None:
        key = self._unused()
        if key is None:
            raise Overloaded(_QUEUE)
        self._end(key)

    def _unused(self) -> EnvironmentKey | None:
        """Return the least recently used environment that runs nothing."""
        return next((key for key, each in self._open.items() if not self._is_running(key, each)), None)

    def _is_running(self, key: EnvironmentKey, opened: OpenEnvironment) -> bool:
        return opened.starting > 0 or self.workers.has_workers(key[1], running=True)

    def _end(self, key: EnvironmentKey) -> None:
        opened = self._open.pop(key)
        self.workers.evict_environment(key[1])
        ending = asyncio.get_running_loop().create_task(self._release(opened))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def _release(self, opened: OpenEnvironment) -> None:
        """Let a tree go when no zygote shows it any more."""
        with contextlib.suppress(DomainError):
            tree = await opened.holding
            if opened.equipment is not None:
                kinds = (evolve(opened.equipment, has_files=has_files) for has_files in (False, True))
                await asyncio.gather(*map(self.zygotes.end, kinds))
            tree.release()
