"""Sessions as one writes them by hand: Starlette, a pool, and a statement for each request."""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.identity import uuid7_at

_POOL_SIZE = 8
_WAITING_MAX = 1024

_SELECT = """
SELECT request_id, owner, language, title, expires_at, last_executed_at, execution_count, renewal, timeout_ms,
    memory_mb, context, metadata, script_hash, version
FROM meta.sessions WHERE request_id = %s AND owner = 'anonymous' AND expires_at > %s AND closed_at IS NULL
"""
_INSERT = """
INSERT INTO meta.sessions (
    request_id, owner, language, title, script_hash, timeout_ms, memory_mb, isolation, renewal, ttl_seconds,
    expires_at, expires_max_at, context, metadata, script
)
VALUES (%s, 'anonymous', 'nodejs', 'calculator', %s, 5000, 128, 'session', 'fixed', 3600, %s, %s, %s, '{}', %s)
"""
_PATCH = """
UPDATE meta.sessions SET context = %s, version = version + 1
WHERE request_id = %s AND owner = 'anonymous' AND expires_at > %s AND closed_at IS NULL
RETURNING request_id, version
"""
_COUNT = """
UPDATE meta.sessions SET execution_count = execution_count + 1, last_executed_at = %s
WHERE request_id = %s AND owner = 'anonymous' AND expires_at > %s AND closed_at IS NULL
RETURNING request_id, execution_count
"""

pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
    os.environ["DATABASE_URL"],
    min_size=_POOL_SIZE,
    max_size=_POOL_SIZE,
    max_waiting=_WAITING_MAX,
    open=False,
    kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
)


async def read(request: Request) -> Response:
    """Return a live session."""
    return await _respond(_SELECT, request.path_params["request_id"], datetime.now(UTC))


async def create(request: Request) -> Response:
    """Store a session."""
    body = await request.json()
    now, script = datetime.now(UTC), body["script_content"]
    identifier, expires_at = uuid7_at(now, secrets.randbits(62)), now + timedelta(hours=1)
    script_hash = sha256(script.encode()).hexdigest()
    facts = (identifier, script_hash, expires_at, expires_at, Jsonb(body["context"]), script)
    async with pool.connection() as connection:
        await connection.execute(_INSERT, facts)
    return JSONResponse({"request_id": str(identifier), "expires_at": expires_at.isoformat()})


async def patch(request: Request) -> Response:
    """Replace the context."""
    body = await request.json()
    return await _respond(_PATCH, Jsonb(body["context"]), request.path_params["request_id"], datetime.now(UTC))


async def count(request: Request) -> Response:
    """Count one use."""
    now = datetime.now(UTC)
    return await _respond(_COUNT, now, request.path_params["request_id"], now)


async def _respond(statement: str, *values: object) -> Response:
    async with pool.connection() as connection:
        cursor = await connection.execute(statement, values)
        row = await cursor.fetchone()
    if row is None:
        return JSONResponse({"error": "not found"}, 404)
    return JSONResponse({name: _plain(value) for name, value in row.items()})


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, int | str | dict) else str(value)


@asynccontextmanager
async def _lifespan(_app: Starlette) -> AsyncIterator[None]:
    async with pool:
        yield


app = Starlette(
    routes=[
        Route("/api/v1/sessions/{request_id}", read, methods=["GET"]),
        Route("/api/v1/sessions/{request_id}", patch, methods=["PATCH"]),
        Route("/api/v1/sessions/{request_id}/count", count, methods=["POST"]),
        Route("/api/v1/initialize", create, methods=["POST"]),
    ],
    lifespan=_lifespan,
)
