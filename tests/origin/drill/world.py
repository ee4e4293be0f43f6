"""The processes of a drill: two PostgreSQL servers, the origin, the service in front of it, the commands."""

import asyncio
import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from attrs import define, field

from adapters.embedded_postgres.programs import PostgresPrograms
from adapters.postgres.migrations.runner import MigrationRunner
from adapters.postgres.statements.catalogue import load_statements
from adapters.system_clock import SystemClock
from tests.faults.server import SERVICE_ROLE, Server, execute, running_server
from tests.origin.databases import fill, origin_database
from tests.origin.process import Origin, Redis, running_origin, running_redis
from tests.origin.service import Service, variables_for
from tests.support.folders import shared_folder

_ROOT = Path(__file__).parents[3]
SECRET = "a secret of thirty-two bytes or more"
_COMMAND_S = 300.0
_TRIES_MAX = 40
_CHILDREN = 12
"""Each runs one script after the other, and some take a while."""
_AT_ORIGIN = "SELECT request_id, execution_count FROM meta.sessions WHERE expires_at > now()"
_HERE = """
    SELECT sessions.request_id::text, execution_count FROM meta.sessions
    LEFT JOIN meta.taken_sessions ON taken_sessions.request_id = sessions.request_id
    WHERE coalesce(taken_sessions.state, 'owned') = 'owned' AND closed_at IS NULL AND sessions.expires_at > now()
"""
_COMMITTED = "SELECT request_id::text, pg_xact_commit_timestamp(xmin) FROM meta.sessions"


@define(eq=False)
class World:
    """What a drill has, and what it can ask and kill."""

    generation: str
    there: Server
    here: Server
    there_url: str
    here_url: str
    origin: Origin
    service: Service
    redis: Redis | None
    variables: Mapping[str, str]
    runs: Path
    statuses: list[str] = field(factory=list)
    command: asyncio.subprocess.Process | None = None

    async def takeover(self, *arguments: str, again: bool = False, good: tuple[int, ...] = (0,)) -> str:
        """Run a command to its good end, and return what it tells; with `again` it is repeated when it fails."""
        for _ in range(_TRIES_MAX if again else 1):
            began_s = time.monotonic()
            status, told = await self._ran(*arguments)
            self.statuses.append(f"{arguments[0]} {status} {time.monotonic() - began_s:.1f} s")
            if status in good:
                return told
            await asyncio.sleep(0.2 if again else 0)
        raise AssertionError(f"`pglambda takeover {' '.join(arguments)}` ended with {status}: {told[-2000:]}")

    async def _ran(self, *arguments: str) -> tuple[int, str]:
        argv = [sys.executable, "-m", "entrypoints", "takeover", *arguments]
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
        environment = {**os.environ, **self.variables}
        command = self.command = await asyncio.create_subprocess_exec(*argv, cwd=_ROOT, env=environment, **pipes)
        try:
            async with asyncio.timeout(_COMMAND_S):
                told, _ = await command.communicate()
        finally:
            if command.returncode is None:
                command.kill()
        return command.returncode, told.decode()

    def held(self) -> tuple[dict[str, int], list[str]]:
        """Return the counts of all live sessions at their owners, and those that both sides would serve."""
        there, here = dict(_rows(self.there_url, _AT_ORIGIN)), dict(_rows(self.here_url, _HERE))
        return there | here, [f"{each} is served by both sides" for each in there.keys() & here]

    def idle(self) -> dict[str, tuple[Any, ...]]:
        """Return whole rows of the origin that no client calls."""
        rows = _rows(self.there_url, "SELECT * FROM meta.sessions WHERE language_title <> 'python-drill'")
        return {row[0]: row for row in rows}

    def late(self) -> int:
        """Return how many executions of the origin ended after their session had moved."""
        ((late,),) = _rows(self.here_url, "SELECT coalesce(sum(late_count), 0)::integer FROM meta.taken_sessions")
        return late

    def gaps_ms(self) -> list[float]:
        """Return the time for which each session that no client calls had no owner, by the commits on both sides."""
        fenced, owned = dict(_rows(self.there_url, _COMMITTED)), dict(_rows(self.here_url, _COMMITTED))
        idle = self.idle()
        return [
            (owned[each] - fenced[each]).total_seconds() * 1000 for each in idle if each in owned and each in fenced
        ]

    def runs_at_origin(self) -> Counter[str]:
        return Counter(self.runs.read_text().splitlines() if self.runs.exists() else [])


def _rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchall()


@contextlib.contextmanager
def servers(programs: PostgresPrograms | None = None) -> Iterator[tuple[Server, Server]]:
    """Yield two servers for many drills, which note when transactions commit; `programs` are those of the origin's."""
    with running_server(programs=programs) as there, running_server() as here:
        for server in (there, here):
            execute(server, "postgres", "ALTER SYSTEM SET track_commit_timestamp = on")
            server.stop()
            server.start()
        yield there, here


@contextlib.asynccontextmanager
async def world(
    generation: str, there: Server, here: Server, idle: int, settings: Mapping[str, str]
) -> AsyncIterator[World]:
    """Yield a new world: an origin with `idle` live sessions, and the service with these settings in front of it."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(shared_folder())
        there_url = stack.enter_context(origin_database(there.dsn()))
        _filled(there_url, idle)
        here_url = await _migrated(stack, here)
        redis = stack.enter_context(running_redis()) if generation == "g1" else None
        options = {"generation": generation, "children": _CHILDREN} | ({"redis_url": redis.url} if redis else {})
        origin = stack.enter_context(running_origin(there_url, **options))
        addresses = variables_for(folder, here_url, origin=origin, source_url=there_url, redis=redis)
        variables = addresses | settings
        service = Service(variables, folder)
        stack.callback(service.stop)
        await service.ready()
        runs = folder / "runs"
        facts = (there_url, here_url, origin, service, redis, variables, runs)
        yield World(generation, there, here, *facts)


def _filled(url: str, idle: int) -> None:
    """Insert live sessions of languages that are served: four of five are, and nine of ten live."""
    fill(url, idle * 50 // 36, 512)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DELETE FROM meta.sessions WHERE language_title LIKE 'rust-%%' OR expires_at < now()")


async def _migrated(stack: contextlib.ExitStack, here: Server) -> str:
    name = here.create_database(f"here_{uuid4().hex}")
    stack.callback(here.drop_database, name)
    url = here.dsn(name, SERVICE_ROLE)
    await MigrationRunner(url, load_statements().migrations, SystemClock()).up()
    return url
