"""Which process of a host builds, and what it does without the folder of builds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from adapters.environments.building.maker import SandboxedTreeMaker
from adapters.environments.folder import TreeFolder
from adapters.memory.environments import FixedPlatforms, MemoryBuildQueue, MemoryEnvironmentStore, MemoryTreeStore
from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from domain.environments.builder import Builder
from domain.environments.tree import TreeLimits
from domain.scripts.language import Language
from entrypoints.composition.environments import HostEnvironments
from tests.support.waiting import until

LIMITS = TreeLimits(1000, 10)


def no_sandbox(_: Language) -> Any:
    raise AssertionError


def is_taken(folder: TreeFolder) -> bool:
    """Return whether a process has the turn to build."""
    turn = folder.lock_alone()
    if turn is not None:
        turn.release()
    return turn is None


@asynccontextmanager
async def building(path: Path) -> AsyncIterator[TreeFolder]:
    """Run the builder of a host, which has nothing to build, with its folder."""
    folder, store = TreeFolder(path), MemoryEnvironmentStore()
    maker = SandboxedTreeMaker(folder, no_sandbox, {}, LIMITS, 1.0)
    queue, trees = MemoryBuildQueue(store), MemoryTreeStore(store)
    builder = Builder(ManualClock(), SequentialIds(), queue, trees, maker, FixedPlatforms(), (), 128)
    (build,) = HostEnvironments(None, builder, maker, None).background
    running = asyncio.ensure_future(build())
    try:
        yield folder
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_a_folder_that_was_removed_is_made_again(tmp_path):
    async with building(tmp_path / "environments" / "building") as folder:
        await until(folder.path.is_dir)
        await until(lambda: is_taken(folder))


async def test_a_folder_that_cannot_be_made_is_logged_with_the_reason(tmp_path):
    (tmp_path / "file").write_text("")
    with capture_logs() as lines:
        async with building(tmp_path / "file" / "building"):
            await until(lambda: lines)
    ((event, reason),) = [(line["event"], line["reason"]) for line in lines]
    assert event == "environments_unavailable"
    assert str(tmp_path / "file") in reason
