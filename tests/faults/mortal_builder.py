"""A builder and a host of trees, each in a process of its own that kills itself at a step."""

import asyncio
import hashlib
import logging
import multiprocessing
import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import structlog
from attrs import define, field, frozen

from adapters.environments.archive import FORMAT, packed
from adapters.environments.copies import TreeCopies
from adapters.environments.folder import PartialTree, TreeFolder
from adapters.memory.environments import FixedPlatforms
from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.repositories.environments import PostgresBuildQueue, PostgresTreeStore
from adapters.postgres.statements.catalogue import load_statements
from adapters.random_ids import RandomIds
from adapters.system_clock import SystemClock
from domain.clock import Clock
from domain.environments.builder import Builder, BuildTimes
from domain.environments.environment import EnvironmentVersion
from domain.environments.ports import MadeTree, TreeMaker
from domain.environments.tree import CHUNK_SIZE, StoredTree, TreeJudge, TreeLimits
from domain.scripts.language import Language
from tests.faults.mortal import TIMEOUT_S, Death

LIMITS = TreeLimits(10_000_000, 100)
STEPS_OF_BUILD = (
    "in making",
    *(f"{at} {name}" for name in ("claim", "renew", "begin", "chunk", "end") for at in ("before", "in", "after")),
)
STEPS_OF_FETCH = (
    "before folder",
    "after folder",
    *(f"{at} read" for at in ("before", "in", "after")),
    "before note",
    "after note",
    "after complete",
)
_SIZE = 2 * CHUNK_SIZE + 1_000
"""Bytes that do not shrink when they are packed, so a tree has three chunks."""
_SECOND = 1
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__])


@frozen
class LaterClock(Clock):
    """The time of this host, and more."""

    more: timedelta

    def now(self) -> datetime:
        return SystemClock().now() + self.more


def files_of(version: EnvironmentVersion) -> dict[str, bytes]:
    """Return the files that a build of a version makes, others for each version."""
    content = random.Random(str(version)).randbytes(_SIZE)
    return {"package/__init__.py": f"NAME = '{version}'\n".encode(), "package/data.bin": content}


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@frozen
class FileMaker(TreeMaker):
    """Writes and packs the files of a version, as a build does that has installed them."""

    folder: TreeFolder
    death: Death = field(factory=Death)

    @asynccontextmanager
    async def making(self, version: EnvironmentVersion, log: Callable[[str], None]) -> AsyncIterator[MadeTree]:
        made = self.folder.begin(f"{version.name}-{version.version}")
        try:
            for name, content in files_of(version).items():
                (made.path / name).parent.mkdir(exist_ok=True)
                (made.path / name).write_bytes(content)
                self.death.step("in making")
            judge = TreeJudge(LIMITS)
            data = b"".join(packed(made.path, judge))
            digest = hashlib.sha256(data).hexdigest()
            stored = StoredTree(digest, FORMAT, judge.size, judge.count, len(data))
            log("made\n")
            yield MadeTree(stored, made.path, 0, partial(_chunk, data))
        finally:
            made.close()


async def _chunk(data: bytes, seq: int) -> bytes:
    return data[seq * CHUNK_SIZE : (seq + 1) * CHUNK_SIZE]


@define(eq=False)
class MortalQueue:
    """The real queue of builds, and death at its steps."""

    queue: PostgresBuildQueue
    death: Death

    async def claim(self, *call):
        return await self.death.during("claim", self.queue.claim(*call))

    async def renew(self, *call):
        return await self.death.during("renew", self.queue.renew(*call))

    async def end(self, *call):
        return await self.death.during("end", self.queue.end(*call))


@define(eq=False)
class MortalTrees:
    """The real trees, and death before, in and after the second chunk."""

    trees: PostgresTreeStore
    death: Death

    async def begin(self, *call):
        return await self.death.during("begin", self.trees.begin(*call))

    async def write(self, digest, seq, content):
        call = self.trees.write(digest, seq, content)
        return await (self.death.during("chunk", call) if seq == _SECOND else call)

    async def read(self, digest, seq):
        call = self.trees.read(digest, seq)
        return await (self.death.during("read", call) if seq == _SECOND else call)

    async def get(self, digest):
        return await self.trees.get(digest)


@frozen
class MortalFolder(TreeFolder):
    """The folder of a host, and death at the steps of a fetch."""

    death: Death = field(factory=Death)

    def begin(self, digest: str) -> PartialTree:
        self.death.step("before folder")
        made = super().begin(digest)
        self.death.step("after folder")
        return made

    def note(self, *noted) -> None:
        self.death.step("before note")
        super().note(*noted)
        self.death.step("after note")


def builder_of(gateway: Gateway, folder: Path, clock: Clock, death: Death | None = None) -> Builder:
    """Return a builder, which dies at a step if there is one. Its folder is prepared as at a start."""
    death, statements = death or Death(), load_statements().environments
    maker = FileMaker(TreeFolder(folder / "building"), death)
    maker.folder.prepare()
    return Builder(
        clock,
        RandomIds(),
        MortalQueue(PostgresBuildQueue(gateway, statements), death),
        MortalTrees(PostgresTreeStore(gateway, statements), death),
        maker,
        FixedPlatforms(),
        [Language.PYTHON],
        128,
        None,
        BuildTimes(log_every_s=0.001),
    )


def copies_of(gateway: Gateway, folder: Path, death: Death | None = None) -> TreeCopies:
    """Return the trees of a host, which dies at a step of a fetch if there is one."""
    death = death or Death()
    trees = MortalTrees(PostgresTreeStore(gateway, load_statements().environments), death)
    return TreeCopies(MortalFolder(folder / "trees", death), trees, LIMITS, 1_000_000_000, 60.0)


async def _run(step: str, url: str, folder: Path, digest: str | None) -> None:
    gateway = Gateway(GatewayOptions(url, request_timeout_s=10))
    await gateway.open()
    death = Death(step, lambda: gateway.stats().in_flight)
    if digest is None:
        await builder_of(gateway, folder, SystemClock(), death).build_next(Language.PYTHON)
        return
    copies = copies_of(gateway, folder, death)
    await copies.open()
    await copies.hold(digest)
    death.step("after complete")


def run(*arguments) -> None:
    """Be the process: build the next version, or fetch a tree."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    asyncio.run(_run(*arguments))


def die(step: str, url: str, folder: Path, digest: str | None = None) -> None:
    """Run a builder, or a fetch of a tree, that is killed at a step."""
    process = _PROCESSES.Process(target=run, args=(step, url, folder, digest))
    process.start()
    process.join(TIMEOUT_S)
    assert process.exitcode == -signal.SIGKILL, step
