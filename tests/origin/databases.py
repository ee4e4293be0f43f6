"""Databases of the origin, made and filled."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from adapters.embedded_postgres.programs import PostgresPrograms
from tests.faults.server import running_server

_SQL = Path(__file__).parent / "sql"
VARIANTS = {
    "a": ("rest", "sessions_a", "functions"),
    "b": ("rest", "users", "sessions_c", "sessions_b", "functions"),
    "c": ("rest", "sessions_c", "functions"),
    "d": ("rest", "sessions_d", "functions"),
}
"""The four schemas that operators have, each as files of `sql/`; all have the sample functions."""

_STRATEGY_SINCE, _UUID_SINCE, _FORCE_SINCE = 150000, 130000, 130000
"""Versions of PostgreSQL that have what tests use; the origin's own came with 14."""

_USERS = "INSERT INTO meta.users (user_id) SELECT 'user ' || n FROM generate_series(0, 99) AS n UNION ALL SELECT ''"


def run(url: str, *names: str, **parameters: Any) -> None:
    """Run files of `sql/`."""
    with psycopg.connect(url, autocommit=True) as connection:
        for name in names:
            connection.execute((_SQL / f"{name}.sql").read_text(), parameters or None)


def fill(url: str, rows: int, row_bytes: int = 2048, *, users: bool = False, pending: bool = False) -> None:
    """Insert sessions as days of use leave them.

    Variant B needs its users first. Generations g1 and g2 leave `pending` behind.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        if users:
            connection.execute(_USERS)
    run(url, "sessions", rows=rows, bytes=row_bytes, pending=pending)


def url_of(server_url: str, database: str) -> str:
    """Return the URL of another database on a server, whose address may be a libpq string."""
    return f"postgresql:///?{urlencode(conninfo_to_dict(server_url) | {'dbname': database})}"


def programs_in(folder: str) -> PostgresPrograms:
    """Return the programs of a PostgreSQL in `folder`/bin."""
    program = Path(folder) / "bin" / "postgres"
    told = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    return PostgresPrograms(Path(folder), told.split()[-1])


@contextlib.contextmanager
def origin_database(server_url: str, variant: str = "a") -> Iterator[str]:
    """Yield the address of a database with a schema of the origin on a server, dropped afterwards."""
    name = sql.Identifier(f"origin_{uuid4().hex}")
    with psycopg.connect(server_url, autocommit=True) as admin:
        version = admin.info.server_version
        copied = sql.SQL("STRATEGY FILE_COPY" if version >= _STRATEGY_SINCE else "")
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 {}").format(name, copied))
    url = url_of(server_url, name.as_string().strip('"'))
    try:
        run(url, *(() if version >= _UUID_SINCE else ("random_uuid",)), *VARIANTS[variant])
        yield url
    finally:
        with psycopg.connect(server_url, autocommit=True) as admin:
            forced = sql.SQL("WITH (FORCE)" if version >= _FORCE_SINCE else "")
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} {}").format(name, forced))


@contextlib.contextmanager
def made_database(variant: str, rows: int, row_bytes: int) -> Iterator[str]:
    """Yield the address of such a database on a server of its own, gone afterwards."""
    with running_server() as server, origin_database(server.dsn(), variant) as url:
        if rows:
            fill(url, rows, row_bytes, users=variant == "b")
        yield url
