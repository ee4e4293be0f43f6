"""The fake origin as a program: serves on a port until it is stopped, with a database of its own if none is named."""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path

import uvicorn
from psycopg_pool import AsyncConnectionPool
from redis.asyncio import Redis
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from tests.origin.application import VERSIONS, Controller
from tests.origin.databases import VARIANTS, made_database
from tests.origin.runtimes import Runtimes
from tests.origin.stores import CachedSessions, Database, ProcessCache, RedisCache, RowSessions
from tests.support.ports import free_port

_CONNECTIONS = 10
_POOL_WAIT_S = 5.0
_CORS = {"allow_origins": ["*"], "allow_methods": ["*"], "allow_headers": ["*"], "max_age": 3600}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.origin", description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="0 is a free one; it is printed")
    parser.add_argument(
        "--database-url", help="where its schema is; without, a PostgreSQL server of its own is started"
    )
    parser.add_argument("--variant", choices=VARIANTS, default="a", help="the schema of a database that is made here")
    parser.add_argument("--rows", type=int, default=0, help="so many sessions in a database that is made here")
    parser.add_argument("--row-bytes", type=int, default=2048, help="about the size of each of them")
    parser.add_argument("--generation", choices=VERSIONS, default="g3", help="g1 needs --redis-url")
    parser.add_argument("--redis-url")
    parser.add_argument("--expiry-seconds", type=int, default=3600)
    parser.add_argument("--timeout-seconds", type=float, default=30.0, help="of one call of a runtime")
    parser.add_argument("--retries", type=int, default=3, help="of a call that took too long; the script runs again")
    parser.add_argument("--children", type=int, default=1, help="processes of each runtime")
    parser.add_argument(
        "--mappings", type=Path, help='[{"pattern", "runtime_type", "is_regex"}], as the origin reads it'
    )
    parser.add_argument("--script-size-max", type=int, default=1024 * 1024)
    return parser


def _mappings(path: Path | None) -> list[tuple[str, str, bool]]:
    entries = json.loads(path.read_text()) if path else []
    return [(entry["pattern"], entry["runtime_type"], entry["is_regex"]) for entry in entries]


def _sessions(options: argparse.Namespace, database: Database) -> RowSessions | CachedSessions:
    rows = RowSessions(database, options.expiry_seconds)
    if options.generation == "g3":
        return rows
    if options.generation == "g2":
        return CachedSessions(rows, ProcessCache())
    return CachedSessions(rows, RedisCache(Redis.from_url(options.redis_url)))


async def _serve(options: argparse.Namespace, database_url: str) -> None:
    opened = AsyncConnectionPool(
        database_url, min_size=1, max_size=_CONNECTIONS, timeout=_POOL_WAIT_S, kwargs={"autocommit": True}, open=False
    )
    async with opened as pool:
        database = Database(pool)
        runtimes = Runtimes.with_children(
            options.children, options.timeout_seconds, options.retries, _mappings(options.mappings)
        )
        sessions, version = _sessions(options, database), VERSIONS[options.generation]
        controller = Controller(sessions, database, runtimes, version, options.script_size_max)
        application = CORSMiddleware(GZipMiddleware(controller, minimum_size=0), **_CORS)
        port = options.port or free_port()
        sys.stderr.write(f"origin on http://127.0.0.1:{port} with {database_url}\n")
        config = uvicorn.Config(
            application, port=port, lifespan="off", server_header=False, log_level="error", access_log=False, ws="none"
        )
        try:
            await uvicorn.Server(config).serve()
        finally:
            await runtimes.stop()


def main() -> None:
    """Parse the arguments, make what is missing, serve."""
    options = _parser().parse_args()
    if options.generation == "g1" and not options.redis_url:
        sys.exit("g1 keeps its sessions in Redis: say --redis-url")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that the server of its own ends with it
    with contextlib.ExitStack() as stack:
        given = options.database_url
        url = given or stack.enter_context(made_database(options.variant, options.rows, options.row_bytes))
        asyncio.run(_serve(options, url))


if __name__ == "__main__":
    main()
