"""A sandbox on this host, its data where the workers' uid can reach it."""

import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.sandbox.options import NodeStart, SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from adapters.sandbox.selftest.packages import HostilePackages
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from tests.guest_coverage.sandbox import MeasuredBuilder
from tests.support.folders import shared_folder

Built = Callable[[SandboxOptions], SandboxBuilder]
Opened = Callable[..., AbstractAsyncContextManager[SandboxScriptRunner]]


@pytest.fixture(scope="session")
def runtimes_dir() -> Iterator[Path]:
    """A folder that every user may traverse; pytest's own are private."""
    with shared_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def guest_coverage(runtimes_dir: Path) -> Iterator[Path | None]:
    """A folder for the coverage of the guest, if the environment names one to take its files at the end."""
    target = os.environ.get("GUEST_COVERAGE")
    if target is None:
        yield None
        return
    folder = runtimes_dir / "guest-coverage"
    folder.mkdir()
    yield folder
    Path(target).mkdir(exist_ok=True)
    for file in folder.glob("*.*"):
        shutil.move(file, Path(target) / file.name)


@pytest.fixture(scope="module")
def built(guest_coverage: Path | None, request: pytest.FixtureRequest) -> Built:
    """Makes builders of sandboxes, which measure the guest if the module asks for that with MEASURES_GUEST."""
    if guest_coverage is None or not getattr(request.module, "MEASURES_GUEST", False):
        return SandboxBuilder
    return partial(MeasuredBuilder, folder=guest_coverage)


@pytest.fixture
def opened(runtimes_dir: Path, built: Built) -> Opened:
    """Opens a runner with these options; by default both languages, with one prewarmed worker each."""

    @asynccontextmanager
    async def open_runner(**options: object) -> AsyncIterator[SandboxScriptRunner]:
        chosen = SandboxOptions(**({"runtimes_dir": runtimes_dir, "prewarmed": 1} | options))
        runner = SandboxScriptRunner(chosen, built(chosen))
        await runner.open()
        try:
            yield runner
        finally:
            await runner.close(5)

    return open_runner


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(runtimes_dir: Path, built: Built) -> AsyncIterator[SandboxScriptRunner]:
    """One runner for a module of tests that only run scripts; they mark themselves for the module's loop.

    It has the packages of the attacks. Its workers are forks in both languages. Those of `opened` are forks where that is the default.
    """
    options = SandboxOptions(
        runtimes_dir, node_start=NodeStart.FORK, queue_timeout_s=60
    )  # for the first equipped zygote
    runner = SandboxScriptRunner(options, built(options), trees=HostilePackages(runtimes_dir))
    await runner.open()
    yield runner
    await runner.close(5)


@pytest.fixture
async def runner(opened: Opened) -> AsyncIterator[SandboxScriptRunner]:
    async with opened() as runner:
        yield runner
