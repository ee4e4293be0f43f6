"""Drains of other queues on PostgreSQL, each in a process of its own, by its documented settings."""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Mapping

import psycopg
import uvloop
from attrs import define, field, frozen

from tests.benchmarks.names import PGQUEUER, PGQUEUER_TUNED, PROCRASTINATE

_TIMEOUT_S = 300.0
_CHUNK = 1000

# Both are in the bench environment only, so each drain imports its own.


@frozen
class PeerTask:
    """Jobs to insert and then run.

    `loops` is how many run jobs at once: workers of pgqueuer, each with its own connection and batches of `batch` jobs,
    or the concurrency of procrastinate's worker.
    """

    database_url: str
    jobs: int
    loops: int
    batch: int = 0


@define(eq=False)
class Runs:
    """Counts jobs that have run, from the first to the last one."""

    until: int
    ran: int = 0
    first_at_s: float = 0.0
    last_at_s: float = 0.0
    all_ran: asyncio.Event = field(factory=asyncio.Event)

    def add(self) -> None:
        """Count a run."""
        self.last_at_s = time.perf_counter()
        self.first_at_s = self.first_at_s or self.last_at_s
        self.ran += 1
        if self.ran == self.until:
            self.all_ran.set()

    async def measured(self, run: Awaitable[object]) -> dict[str, float]:
        """Return the seconds from the first to the last job, and the process's own, while `run` goes on."""
        own_s = time.process_time()
        running = asyncio.ensure_future(run)
        async with asyncio.timeout(_TIMEOUT_S):
            await self.all_ran.wait()
        own_s = time.process_time() - own_s
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return {"took_s": self.last_at_s - self.first_at_s, "own_s": own_s}


async def pgqueuer(task: PeerTask) -> dict[str, float]:
    """Drain with pgqueuer on psycopg: as its own benchmark does it, with its settings of autovacuum."""
    from pgqueuer import PgQueuer  # noqa: PLC0415
    from pgqueuer.db import PsycopgDriver  # noqa: PLC0415
    from pgqueuer.queries import Queries  # noqa: PLC0415

    connections = [await psycopg.AsyncConnection.connect(task.database_url, autocommit=True) for _ in range(task.loops)]
    queries = Queries(PsycopgDriver(connections[0]))
    if not await queries.has_table("pgqueuer"):
        await queries.install()
        await queries.optimize_autovacuum()
    await queries.clear_queue()
    for first in range(0, task.jobs, _CHUNK):
        count = min(_CHUNK, task.jobs - first)
        await queries.enqueue(["nothing"] * count, [b'{"a": 5, "b": 3}'] * count, [0] * count)
    await connections[0].execute("VACUUM (ANALYZE) pgqueuer")
    runs, workers = Runs(task.jobs), [PgQueuer(PsycopgDriver(each)) for each in connections]

    async def nothing(_: object) -> None:
        runs.add()

    for worker in workers:
        worker.entrypoint("nothing")(nothing)
    try:
        return await runs.measured(asyncio.gather(*(worker.run(batch_size=task.batch) for worker in workers)))
    finally:
        for connection in connections:
            await connection.close()


async def procrastinate(task: PeerTask) -> dict[str, float]:
    """Drain with one worker of procrastinate, which removes jobs that have succeeded."""
    from procrastinate import App, PsycopgConnector  # noqa: PLC0415

    app = App(connector=PsycopgConnector(conninfo=task.database_url, max_size=task.loops + 1))
    runs = Runs(task.jobs)

    @app.task(name="nothing", pass_context=False)
    async def nothing(**_: int) -> None:
        runs.add()

    async with app.open_async():
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()
        await app.connector.execute_query_async("DELETE FROM procrastinate_jobs")
        for first in range(0, task.jobs, _CHUNK):
            await nothing.batch_defer_async(*[{"a": 5, "b": 3}] * min(_CHUNK, task.jobs - first))
        with psycopg.connect(task.database_url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE) procrastinate_jobs")
        worker = app.run_worker_async(concurrency=task.loops, delete_jobs="successful", install_signal_handlers=False)
        return await runs.measured(worker)


DRAINS: Mapping[str, Callable[[PeerTask], Awaitable[dict[str, float]]]] = {
    PGQUEUER: pgqueuer,
    PGQUEUER_TUNED: pgqueuer,
    PROCRASTINATE: procrastinate,
}

if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    sys.stdout.write(json.dumps(uvloop.run(DRAINS[sys.argv[1]](PeerTask(**json.loads(sys.argv[2]))))))
