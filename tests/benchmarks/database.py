"""PostgreSQL as the service brings it, on the load's core, filled with sessions by the million."""

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from attrs import frozen
from msgspec.structs import replace
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from adapters.embedded_postgres.passfile import Passfile
from adapters.embedded_postgres.programs import find_programs
from entrypoints.composition.commands import Commands
from entrypoints.server.database import running
from entrypoints.settings.secret import Secret
from entrypoints.settings.settings import Settings
from tests.benchmarks.machine import pinned
from tests.benchmarks.sessions import CONTEXT, LIFETIME_S, SCRIPT, SessionSet

_FILL = """
INSERT INTO meta.sessions (
    request_id, owner, language, title, script_hash, timeout_ms, memory_mb, isolation, renewal, ttl_seconds,
    expires_at, expires_max_at, context, metadata, script
)
SELECT
    (%(prefix)s || lpad(to_hex(n), 12, '0'))::uuid, %(owner)s, 'nodejs', 'calculator', %(script_hash)s, 5000, 128,
    'session', 'fixed', %(lifetime_s)s,
    now() + make_interval(secs => CASE WHEN n %% 2 < %(expired)s::int THEN -7200 ELSE %(lifetime_s)s::int END),
    now() + interval '30 days', %(context)s::jsonb, '{}', %(script)s
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""
_FILL_ROWS = 100_000
_CONNECTIONS_MAX = 200
_ROW_UPDATES = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'meta.sessions'::regclass"


@frozen
class RowUpdates:
    """Updates of rows of sessions since the server's start, and those that stayed on their page (HOT)."""

    all: int
    hot: int

    def share_since(self, before: "RowUpdates") -> float:
        """Return the share of HOT updates since then; 1 without any update."""
        return (self.hot - before.hot) / max(1, self.all - before.all)


@frozen
class Database:
    """A running server, migrated."""

    url: str
    pid: int

    @property
    def environment(self) -> dict[str, str]:
        """What libpq and its kind need to connect."""
        facts = conninfo_to_dict(self.url)
        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE", "passfile": "PGPASSFILE"}
        password = Passfile(Path(str(facts["passfile"]))).read()[str(facts["user"])]
        return {variable: str(facts[name]) for name, variable in names.items()} | {"PGPASSWORD": password}

    def execute(self, statement: str, parameters: dict[str, object] | None = None) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql.SQL(statement), parameters)
            return cursor.fetchall() if cursor.description else []

    def fill(self, sessions: SessionSet, *, expired: bool = False) -> Iterator[int]:
        """Replace all sessions by these, alive (with `expired`: every other one is over), and yield how many are in."""
        self.execute("TRUNCATE meta.sessions, meta.open_executions, meta.executions")
        yield from self.add(sessions, expired=expired)

    def add(self, sessions: SessionSet, *, expired: bool = False) -> Iterator[int]:
        """Put these beside what is there."""
        for first in range(0, sessions.count, _FILL_ROWS):
            last = min(first + _FILL_ROWS, sessions.count) - 1
            self.execute(_FILL, _fill_parameters(sessions, first, last, expired=expired))
            yield last + 1
        self.execute("VACUUM (ANALYZE) meta.sessions")

    def row_updates(self) -> RowUpdates:
        """Return the statistics, which sessions of the server report when they end, or a second late."""
        return RowUpdates(*self.execute(_ROW_UPDATES)[0])


@contextmanager
def database(folder: Path, core: int | None) -> Iterator[Database]:
    """Run the embedded server in this folder for the duration, on one core or on all of them."""
    settings = Settings(data_dir=folder, auto_migrate=True, db_pool_max=_CONNECTIONS_MAX)
    server = Commands(settings=settings).embedded_postgres()
    with pinned(core), running(server) as url:
        pid = int((folder / "postgres" / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        yield Database(url, pid)


@contextmanager
def another(folder: Path, core: int) -> Iterator[Database]:
    """Run a second server beside the first one, migrated, on the same core."""
    folder.mkdir(mode=0o755)
    with database(folder, core) as made:
        asyncio.run(migrate(made, folder))
        yield made


async def migrate(database: Database, folder: Path) -> None:
    """Bring the schema up."""
    settings = Settings(data_dir=folder, auto_migrate=True)
    await Commands(settings=replace(settings, database_url=Secret(database.url))).migrations().up()


def program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs."""
    return find_programs().path(name)


def _fill_parameters(sessions: SessionSet, first: int, last: int, *, expired: bool) -> dict[str, object]:
    return {
        "prefix": sessions.prefix,
        "owner": sessions.owner,
        "script_hash": hashlib.sha256(SCRIPT.encode()).hexdigest(),
        "lifetime_s": LIFETIME_S,
        "expired": int(expired),
        "context": CONTEXT,
        "script": SCRIPT,
        "first": first,
        "last": last,
    }
