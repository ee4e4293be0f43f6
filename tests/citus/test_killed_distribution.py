"""`pglambda migrate distribute` killed at its steps, under the clients of two controllers: the next run completes it."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import define, field

from adapters.postgres.migrations.runner import MigrationRunner
from adapters.postgres.statements.catalogue import Statements
from adapters.system_clock import SystemClock
from domain.buckets.bucket_map import SETTLING
from tests.citus.cluster import Cluster
from tests.citus.load import LoadTrial, controllers_of
from tests.citus.nodes import Nodes, bucket_of, nodes_of
from tests.faults.proxy import Proxy
from tests.support.folders import shared_folder
from tests.support.programs import unmeasured

LONG = os.environ.get("DRILL") == "long"
pytestmark = pytest.mark.timeout(2400 if LONG else 300)
"""The long drill kills 24 runs, of which 19 took 700 s on two processors that much other work used."""

COMMAND_S = 120.0
PAUSE_MAX_S = 0.3
"""The command makes tables by many transactions, and shares the processors with the load."""
READ_S = 10.0
"""How often controllers read the buckets."""

STEPS: Sequence[tuple[bytes, ...]] = (
    (b"CREATE TABLE bucket_1.sessions",),
    (b"CREATE TABLE bucket_1.clock",),
    (b"DELETE FROM bucket_1.function_versions",),
    (b"citus_schema_distribute", b"bucket_1"),
    (b"FUNCTION bucket_1.hold",),
    (b"pg_get_functiondef",),
    (b"citus_schema_distribute", b"bucket_2"),
    (b"FUNCTION bucket_2.hold",),
    (b"INSERT INTO meta.buckets",),
    (b"SET works_beside",),
    (b"database.distribute",),
    (b"database.distribute", b"COMMIT"),
)
"""What the command sends in turn at each step; the last text of a step is the one at which it is killed."""

SHORT = [(STEPS[3], True), (STEPS[8], True), (STEPS[11], True)]
KILLS = [(step, is_sent) for step in STEPS for is_sent in (False, True)] if LONG else SHORT
"""Each with whether the server gets the statement at which the command dies."""


@define(eq=False)
class Killer:
    """Kills a program as soon as it sends the last of some texts, all in this order, and may let that one pass."""

    texts: list[bytes]
    is_sent: bool
    program: subprocess.Popen[bytes] | None = None

    def admits(self, chunk: bytes) -> bool:
        while self.texts and self.texts[0] in chunk:
            self.texts.pop(0)
            if not self.texts and self.program is not None:
                self.program.kill()
                return self.is_sent
        return True


@define(eq=False)
class Command:
    """Runs of `migrate distribute`, whose statements pass through a proxy."""

    nodes: Nodes
    folder: Path
    proxy: Proxy
    outputs: list[str] = field(factory=list)

    async def run(self, buckets: int, killer: Killer | None = None) -> int:
        """Run it to its end, and return the exit status."""
        killer = killer or Killer([], is_sent=True)
        self.proxy.admits = killer.admits
        killer.program = self._started(buckets)
        try:
            return await asyncio.to_thread(killer.program.wait, COMMAND_S)
        except subprocess.TimeoutExpired:
            pytest.fail(f"It has not ended within {COMMAND_S} s, and has written: {self._log.read_text()}")
        finally:
            killer.program.kill()
            killer.program.wait()
            self.outputs.append(self._log.read_text())

    @property
    def _log(self) -> Path:
        return self.folder / "command.log"

    def _started(self, buckets: int) -> subprocess.Popen[bytes]:
        url = self.nodes.cluster.url(self.nodes.database, self.proxy.port)
        argv = [sys.executable, "-m", "entrypoints", "migrate", "distribute", "--buckets", str(buckets)]
        with self._log.open("wb") as file:
            return subprocess.Popen(argv, env=unmeasured() | {"DATABASE_URL": url}, stdout=file, stderr=file)


@pytest.fixture
def database(cluster: Cluster, statements: Statements) -> str:
    """The name of a migrated database without buckets."""
    name = cluster.database()
    asyncio.run(MigrationRunner(cluster.url(name), statements.migrations, SystemClock()).up())
    return name


@pytest.fixture
def folder() -> Iterator[Path]:
    with shared_folder() as folder:
        yield folder


@contextlib.asynccontextmanager
async def command_on(nodes: Nodes, folder: Path) -> AsyncIterator[Command]:
    proxy = await Proxy("127.0.0.1", nodes.cluster.ports[0], lets_end=True).start()
    yield Command(nodes, folder, proxy)
    await proxy.stop()


async def test_a_distribution_that_is_killed_at_its_steps_loses_nothing_and_the_next_run_completes_it(
    cluster: Cluster, database: str, folder: Path
) -> None:
    async with nodes_of(cluster, database) as nodes, controllers_of(nodes, folder, folder / "runs") as client:

        @contextlib.asynccontextmanager
        async def distributed() -> AsyncIterator[None]:
            async with command_on(nodes, folder) as command:
                for step, is_sent in KILLS:
                    status = await command.run(2, Killer(list(step), is_sent))
                    assert status == -9, (step, command.outputs[-1])
                    begun = await asyncio.to_thread(nodes.run, "SELECT number FROM meta.buckets")
                    assert bool(begun) is ((step, is_sent) == (STEPS[-1], True))
                assert await command.run(2) == 0, command.outputs[-1]
                if LONG:
                    await filled(nodes)
                    await raised(command)
                    await filled(nodes)
            yield

        await LoadTrial("distribution killed", 1, nodes, client, folder / "runs", pause_max_s=PAUSE_MAX_S).run(
            distributed
        )
        made = [number for (number,) in nodes.run("SELECT number FROM meta.buckets ORDER BY number")]
        assert made == ([1, 2, 3] if LONG else [1, 2])
        if LONG:
            assert {bucket_of(session_id) for session_id in nodes.stored()} >= {1, 2, 3}


async def raised(command: Command) -> None:
    """Raise the number of buckets by one, and kill the command before."""
    for text, is_sent in ((b"citus_schema_distribute", True), (b"INSERT INTO meta.buckets", False)):
        assert await command.run(3, Killer([text], is_sent)) == -9, command.outputs[-1]
    assert await command.run(3) == 0, command.outputs[-1]


async def filled(nodes: Nodes) -> None:
    """Wait until new sessions have got all buckets for as long as controllers take to know them."""
    ((from_at,),) = await asyncio.to_thread(nodes.run, "SELECT max(from_at) FROM meta.buckets")
    await asyncio.sleep((from_at + SETTLING - datetime.now(UTC)).total_seconds() + READ_S)
