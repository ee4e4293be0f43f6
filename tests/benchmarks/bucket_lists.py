"""The first page of an owner's list, on one bucket and on many, in turns."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from statistics import median, quantiles
from urllib.parse import urlencode

import psycopg
from attrs import define, field
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from domain.buckets.bucket_map import Bucket, BucketMap
from domain.identity import ANONYMOUS, Owner
from domain.sessions.ports import SessionFilter, SessionRepository
from entrypoints.composition.commands import Commands
from entrypoints.settings.loading import load_settings
from tests.benchmarks.buckets import NoCitus, divided, migrated
from tests.citus.cluster import Cluster, citus_cluster, citus_programs

ALICE = Owner("alice")
_BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
_MADE = datetime(2026, 6, 1, tzinfo=UTC)
_PAGE = 50
_PAGES = 40
"""Read by one side in a turn."""
_INSERT = sql.SQL("""
    INSERT INTO {schema}.sessions (
        request_id, owner, language, title, script_hash, timeout_ms, memory_mb, isolation, renewal, ttl_seconds,
        expires_at, expires_max_at, context, metadata, script
    )
    SELECT
        (lpad(to_hex(%(first_ms)s::bigint + n), 12, '0') || '7' || substr(md5(%(owner)s || n), 1, 3) || '8'
        || substr(md5(%(owner)s || n), 4, 13) || lpad(to_hex(%(number)s::integer), 2, '0'))::uuid,
        %(owner)s, 'python', 'adder', repeat('a', 64), 1000, 64, 'session', 'fixed', 864000,
        %(expires_at)s, %(expires_at)s, '{{"a": 1}}', '{{}}', 'return 1'
    FROM generate_series(%(first)s::bigint, %(sessions)s::bigint, %(step)s::bigint) AS n
""")


@define(eq=False)
class Side:
    """An owner's list in a database of some buckets."""

    name: str
    owner: Owner
    sessions: SessionRepository
    times_ms: list[float] = field(factory=list)

    async def read(self, pages: int) -> None:
        """Read the first page some times, and remember how long each took."""
        for _ in range(pages):
            started_s = time.perf_counter()
            page = await self.sessions.page(self.owner, SessionFilter(datetime.now(UTC)), None, _PAGE, contexts=False)
            self.times_ms.append((time.perf_counter() - started_s) * 1e3)
            assert len(page.items) == _PAGE


def run(buckets: int, sessions: int, turns: int, say: Callable[[str], None]) -> str:
    """Measure the lists in turns, each in a random order, and return a table; raises NoCitus."""
    programs = citus_programs()
    if programs is None:
        raise NoCitus("No PostgreSQL 17 with Citus was found. CONTRIBUTING.md says how to install it.")
    with citus_cluster(programs) as cluster:
        return asyncio.run(_run(cluster, buckets, sessions, turns, say))


async def _run(cluster: Cluster, buckets: int, sessions: int, turns: int, say: Callable[[str], None]) -> str:
    async with AsyncExitStack() as stack:
        sides, lists = [], ((1, [ALICE]), (buckets, [ALICE, ANONYMOUS]))
        urls = [await _stored(cluster, count, owners, sessions, say) for count, owners in lists]
        for url, (count, owners) in zip(urls, lists, strict=True):
            repository = await _opened(stack, url)  # not before all is stored: what it knows of buckets ages
            sides += [Side(f"{owner}, {count} buckets", owner, repository) for owner in owners]
        for turn in range(turns + 1):
            for side in random.sample(sides, len(sides)):
                await side.read(_PAGES)
                if not turn:  # it warms up
                    side.times_ms.clear()
            say(f"turn {turn} of {turns}")
        return _table(sides)


async def _stored(
    cluster: Cluster, buckets: int, owners: Sequence[Owner], sessions: int, say: Callable[[str], None]
) -> str:
    """Make a database with so many buckets and so many sessions of each owner, and return its address."""
    url = cluster.url(cluster.database())
    await migrated(url)
    await divided(url, buckets, say)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE meta.buckets SET from_at = %s", [_BEGUN])  # as if announced long ago
    for owner in owners:
        await asyncio.to_thread(_store, url, owner, buckets, sessions)
        say(f"stored {sessions:,} sessions of {owner}")
    return url


def _store(url: str, owner: Owner, buckets: int, sessions: int) -> None:
    """Store sessions in the buckets of an owner, in turns."""
    buckets_of_owner = BucketMap([Bucket(number + 1, _BEGUN) for number in range(buckets)]).spread(owner, _MADE)
    with psycopg.connect(url, autocommit=True) as connection:
        for ordinal, number in enumerate(buckets_of_owner):
            schema = sql.Identifier(f"bucket_{number}")
            rows = {"first": ordinal, "step": len(buckets_of_owner), "sessions": sessions - 1, "number": number}
            times = {"first_ms": int(_MADE.timestamp() * 1000), "expires_at": _MADE + timedelta(days=3650)}
            connection.execute(_INSERT.format(schema=schema), rows | times | {"owner": owner})
            connection.execute(sql.SQL("ANALYZE {}.sessions").format(schema))


async def _opened(stack: AsyncExitStack, url: str) -> SessionRepository:
    """Return the sessions of a database as a command has them."""
    dsn = f"postgresql:///?{urlencode(conninfo_to_dict(url))}"
    commands = Commands(settings=load_settings({"DATABASE_URL": dsn, "DATABASE_NODES": "auto"}))
    await stack.enter_async_context(commands.database_access().opened())
    repository: SessionRepository = commands.database.sessions()
    return repository


def _table(sides: Sequence[Side]) -> str:
    lines = ["| first page of 50 | p50, ms | p95, ms | share of 1 bucket |", "|---|---|---|---|"]
    one_ms = median(sides[0].times_ms)
    for side in sides:
        p50_ms, p95_ms = median(side.times_ms), quantiles(side.times_ms, n=20)[-1]
        lines.append(f"| {side.name} | {p50_ms:.2f} | {p95_ms:.2f} | {p50_ms / one_ms:.1f} |")
    return "\n".join(lines)
