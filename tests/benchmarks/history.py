"""The history at millions of rows beside one of some ten thousand: recording, paging, and emptying a day of it."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from uuid import UUID

import psycopg
import uvloop
from attrs import define, field, frozen
from psycopg import sql

from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.codec import PARTITIONS, day_at, first_id_of
from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.repositories.executions import PostgresExecutionRepository
from adapters.postgres.statements.catalogue import load_statements
from adapters.random_ids import RandomIds
from adapters.system_clock import SystemClock
from domain.executions.execution import FinishedExecution
from domain.identity import SessionRef
from domain.json_text import JsonText
from domain.scripts.report import ScriptReport
from tests.benchmarks.database import Database, another
from tests.benchmarks.machine import Cores, pinned
from tests.benchmarks.measurement import Measurement, quantile_ms
from tests.benchmarks.progress import Progress
from tests.benchmarks.sessions import SessionSet

RATE_RATIO_MIN = 0.8
PAGE_RATIO_MAX = 1.5
_CALLERS = 64
_WARMUP_S = 1.0
_READERS = 16
_PAGE_SIZE = 50
_ROWS_OF_SESSION = 100
_FILL_ROWS = 250_000
_FILL_TIMEOUT_MS = 300_000
_ALLOWANCE = timedelta(minutes=2)
_PARAMS = JsonText('{"operation": "add", "a": 5, "b": 3}')
_REPORT = ScriptReport(JsonText('{"result": 8}'), None, 0.9, memory_usage_bytes=9_000_000, cpu_time_ms=0.5)
_FILL = """
INSERT INTO {} (
    slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms,
    memory_usage_bytes, cold_start, params, params_length, result, result_length, stdout, stdout_length, stderr,
    stderr_length
)
SELECT
    %(partition)s, (%(session_prefix)s || lpad(to_hex(n %% %(sessions)s), 12, '0'))::uuid,
    (%(execution_prefix)s || lpad(to_hex(n), 12, '0'))::uuid, 'anonymous', 'succeeded', n / %(sessions)s + 1, 0.9, 0.5,
    9000000, false, %(params)s, %(params_length)s, %(result)s, %(result_length)s, '', 0, '', 0
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""


@frozen
class Work:
    """Rows of either history, rows of the day that is emptied, and times: `rounds` times so many seconds each."""

    rows_few: int
    rows_many: int
    rows_emptied: int
    seconds: float
    rounds: int

    @property
    def sessions(self) -> SessionSet:
        """As many as give each the same number of rows in the large history."""
        return SessionSet(max(_ROWS_OF_SESSION, self.rows_many // _ROWS_OF_SESSION))


@frozen
class Emptied:
    """Ends of executions in quiet, and those that were under way while a day was emptied; how long that took."""

    quiet: Measurement
    during: Measurement
    worst_quiet_ms: float
    worst_during_ms: float
    took_ms: float


@frozen
class Comparison:
    """Lines of the report, and the large history's results over the small one's: the medians of all rounds."""

    lines: Sequence[Measurement]
    finish_rate: float
    page_p50: float
    page_p99: float
    emptied: Emptied


@frozen
class Timed:
    """When a call was made, by the monotonic clock, and what it took; in seconds."""

    began_s: float
    took_s: float


@define(eq=False)
class History:
    """One database with its history, and calls on it as a controller makes them."""

    name: str
    rows: int
    database: Database
    sessions: SessionSet
    executions: PostgresExecutionRepository | None = None
    rates: list[float] = field(factory=list)
    pages: list[list[float]] = field(factory=list)
    finishes: list[float] = field(factory=list)
    page_rates: list[float] = field(factory=list)
    _clock: SystemClock = field(factory=SystemClock)
    _ids: RandomIds = field(factory=RandomIds)
    _random: random.Random = field(factory=lambda: random.Random(7))

    @property
    def busy_sessions(self) -> int:
        """How many sessions have rows: each the same number."""
        return min(self.sessions.count, max(1, self.rows // _ROWS_OF_SESSION))

    def key(self) -> SessionRef:
        """Return any session that has rows."""
        return self.sessions.key(self._random.randrange(self.busy_sessions))

    async def finish(self) -> float:
        """Begin and finish an execution, and return the seconds that the finish took."""
        assert self.executions is not None
        ref = self.sessions.key(self._random.randrange(self.sessions.count))
        execution = await self.executions.begin(self._ids.new(self._clock.now()), ref, _ALLOWANCE)
        began_s = time.monotonic()
        await self.executions.finish(FinishedExecution(execution, self._clock.now(), _PARAMS, _REPORT))
        return time.monotonic() - began_s

    async def page(self) -> float:
        """Read a session's newest page, and return the seconds that it took."""
        assert self.executions is not None
        began_s = time.monotonic()
        page = await self.executions.page(self.key(), None, _PAGE_SIZE)
        assert len(page.items) == _PAGE_SIZE
        return time.monotonic() - began_s


def run(postgres: Database, cores: Cores, folder: Path, work: Work) -> Comparison:
    """Fill two databases, and measure on them in turns."""
    chunks = -(-work.rows_many // _FILL_ROWS) + -(-work.rows_few // _FILL_ROWS) + -(-work.rows_emptied // _FILL_ROWS)
    progress = Progress(chunks + 2 + 4 * work.rounds + 2)
    with another(folder / "few", cores.load) as other:
        few, many = _filled(other, work, work.rows_few, progress), _filled(postgres, work, work.rows_many, progress)
        with pinned(cores.server):
            uvloop.run(_in_turns(few, many, work, progress))
    past = day_at(datetime.now(UTC)) - PARTITIONS // 2
    _fill(many, work.rows_emptied, past, progress)
    with pinned(cores.server):
        emptied = uvloop.run(_emptied(many, past, work, progress))
    progress.close()
    lines = [line for each in (few, many) for line in _lines(each)]
    rates = [after / before for before, after in zip(few.rates, many.rates, strict=True)]
    return Comparison(lines, median(rates), _page_ratio(few, many, 0.5), _page_ratio(few, many, 0.99), emptied)


def _page_ratio(few: History, many: History, share: float) -> float:
    pairs = zip(few.pages, many.pages, strict=True)
    return median(quantile_ms(after, share) / quantile_ms(before, share) for before, after in pairs)


async def _in_turns(few: History, many: History, work: Work, progress: Progress) -> None:
    async with AsyncExitStack() as stack:
        for each in (few, many):
            await stack.enter_async_context(_connected(each))
        for nth in range(work.rounds):
            # What comes first in one turn comes last in the next: what drifts hits both alike.
            turn = (few, many) if nth % 2 == 0 else (many, few)
            for each in turn:
                with _step(progress, f"reading pages, {each.rows:,} rows"):
                    calls = await _keep_busy(each.page, _READERS, work.seconds)
                each.pages.append([call.took_s for call in calls])
                each.page_rates.append(len(calls) / work.seconds)
            for each in turn:
                with _step(progress, f"recording, {each.rows:,} rows"):
                    calls = await _keep_busy(each.finish, _CALLERS, work.seconds)
                each.finishes += [call.took_s for call in calls]
                each.rates.append(len(calls) / work.seconds)


async def _emptied(history: History, day: int, work: Work, progress: Progress) -> Emptied:
    """Record executions while a day is emptied as the cleanup does it, and look at the calls that met it."""
    facts = {"partition": day % PARTITIONS, "kept_from": first_id_of(day + 1)}
    statement = "SELECT meta.empty_slot(%(partition)s::smallint, %(kept_from)s::uuid)"
    async with _connected(history):
        with _step(progress, "recording in quiet"):
            quiet = await _keep_busy(history.finish, _CALLERS, work.seconds)
        with _step(progress, f"recording while {work.rows_emptied:,} rows are emptied"):
            load = asyncio.create_task(_keep_busy(history.finish, _CALLERS, work.seconds))
            await asyncio.sleep(work.seconds / 2)
            began_s = time.monotonic()
            ((done,),) = await asyncio.to_thread(history.database.execute, statement, facts)
            ended_s = time.monotonic()
            calls = await load
    assert done, "the day was not emptied"
    met = [call.took_s for call in calls if call.began_s <= ended_s and call.began_s + call.took_s >= began_s]
    before = [call.took_s for call in quiet]
    return Emptied(
        quiet=_measurement(history, "finish, in quiet", before, len(before) / work.seconds),
        during=_measurement(history, "finish, while a day is emptied", met, len(met) / (ended_s - began_s)),
        worst_quiet_ms=max(before) * 1000,
        worst_during_ms=max(met) * 1000,
        took_ms=(ended_s - began_s) * 1000,
    )


async def _keep_busy(call: Callable[[], Awaitable[float]], callers: int, seconds: float) -> list[Timed]:
    """Let so many callers repeat the call for that long."""
    until_s = time.monotonic() + seconds
    calls: list[Timed] = []

    async def repeat() -> None:
        while time.monotonic() < until_s:
            took_s = await call()
            calls.append(Timed(time.monotonic() - took_s, took_s))

    await asyncio.gather(*(repeat() for _ in range(callers)))
    return calls


@asynccontextmanager
async def _connected(history: History) -> AsyncIterator[None]:
    statements, gateway = load_statements(), Gateway(GatewayOptions(history.database.url))
    await gateway.open()
    history.executions = PostgresExecutionRepository(gateway, statements.executions, SystemClock(), BatchKeys())
    try:
        await _keep_busy(history.finish, _CALLERS, _WARMUP_S)
        yield
    finally:
        await gateway.close()


def _filled(postgres: Database, work: Work, rows: int, progress: Progress) -> History:
    """Return a history of so many rows, all of today."""
    sessions = work.sessions
    with _step(progress, f"filling in {sessions.count:,} sessions"):
        list(postgres.fill(sessions))
    history = History(f"pglambda, {rows:,} rows", rows, postgres, sessions)
    _fill(history, rows, day_at(datetime.now(UTC)), progress)
    return history


def _fill(history: History, rows: int, day: int, progress: Progress) -> None:
    """Put rows into the history of a day, those of each session far apart, as they come in."""
    partition = day % PARTITIONS
    table = sql.Identifier("meta", f"executions_{partition:02d}")
    facts = {
        "partition": partition,
        "session_prefix": history.sessions.prefix,
        "sessions": history.busy_sessions,
        "execution_prefix": str(UUID(int=first_id_of(day).int))[:-12],
        "params": _PARAMS,
        "params_length": len(_PARAMS),
        "result": _REPORT.result,
        "result_length": len(_REPORT.result or ""),
    }
    with psycopg.connect(history.database.url, autocommit=True) as connection:
        connection.execute(f"SET statement_timeout = {_FILL_TIMEOUT_MS}")
        connection.execute("SET synchronous_commit = off")
        for first in range(0, rows, _FILL_ROWS):
            with _step(progress, f"filling in {rows:,} executions"):
                bounds = {"first": first, "last": min(first + _FILL_ROWS, rows) - 1}
                connection.execute(sql.SQL(_FILL).format(table), facts | bounds)
        connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(table))


@contextmanager
def _step(progress: Progress, label: str) -> Iterator[None]:
    progress.begin(label)
    yield
    progress.end()


def _lines(history: History) -> Iterator[Measurement]:
    yield _measurement(history, "begin and finish", history.finishes, median(history.rates))
    pages = [took_s for each in history.pages for took_s in each]
    yield _measurement(history, "page of the history", pages, median(history.page_rates), _READERS)


def _measurement(
    history: History, operation: str, took_s: Sequence[float], rate: float, callers: int = _CALLERS
) -> Measurement:
    return Measurement(
        system=history.name,
        operation=operation,
        connections=callers,
        sessions=history.sessions.count,
        rate=rate,
        p50_ms=quantile_ms(took_s, 0.5),
        p99_ms=quantile_ms(took_s, 0.99),
    )
