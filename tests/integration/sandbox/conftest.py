"""A sandbox on this host, its data where the workers' uid can reach it."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner

Opened = Callable[..., AbstractAsyncContextManager[SandboxScriptRunner]]


@pytest.fixture(scope="session")
def runtimes_dir() -> Iterator[Path]:
    """A folder that every user may traverse; pytest's own are private."""
    folder = Path(tempfile.mkdtemp(prefix="pglambda-sandbox-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def opened(runtimes_dir: Path) -> Opened:
    """Opens a runner with these options; both languages, one spare each, unless told otherwise."""

    @asynccontextmanager
    async def open_runner(**options: object) -> AsyncIterator[SandboxScriptRunner]:
        runner = SandboxScriptRunner(SandboxOptions(**({"runtimes_dir": runtimes_dir, "prewarmed": 1} | options)))
        await runner.open()
        try:
            yield runner
        finally:
            await runner.close(5)

    return open_runner


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(runtimes_dir: Path) -> AsyncIterator[SandboxScriptRunner]:
    """One runner for a module of tests that only run scripts; they mark themselves for the module's loop."""
    runner = SandboxScriptRunner(SandboxOptions(runtimes_dir=runtimes_dir))
    await runner.open()
    yield runner
    await runner.close(5)


@pytest.fixture
async def runner(opened: Opened) -> AsyncIterator[SandboxScriptRunner]:
    async with opened() as runner:
        yield runner
