"""Where each generation of the origin keeps its sessions, and whose clock judges them."""

from typing import Any, Protocol

import psycopg
import redis
from attrs import define, field
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from tests.origin.sessions import OriginError, Session

_INSERT = """
    INSERT INTO meta.sessions (request_id, language_title, user_id, created_at, expires_at, status, context,
        script_content, compile_options)
    VALUES (%(request_id)s, %(language_title)s, %(user_id)s, %(created_at)s, %(expires_at)s, %(status)s, %(context)s,
        %(script_content)s, %(compile_options)s)
"""
_SELECT = """
    SELECT request_id, language_title, user_id, created_at, expires_at, last_executed_at, execution_count, status,
        context::text AS context, script_content, script_hash, compiled_artifact, compile_options::text
        AS compile_options, compile_status, compile_error, metadata::text AS metadata
    FROM meta.sessions WHERE request_id = %(request_id)s
"""
_SELECT_LIVE = f"{_SELECT} AND expires_at > now()"
_UPDATE = """
    UPDATE meta.sessions SET last_executed_at = %(last_executed_at)s, execution_count = %(execution_count)s,
        status = %(status)s, compiled_artifact = %(compiled_artifact)s, compile_status = %(compile_status)s,
        compile_error = %(compile_error)s, metadata = %(metadata)s
    WHERE request_id = %(request_id)s
"""
_EXPIRE = "UPDATE meta.sessions SET status = 'expired' WHERE request_id = %(request_id)s"
_ZONED = """
    SELECT atttypid = 'timestamptz'::regtype AS zoned FROM pg_attribute
    WHERE attrelid = 'meta.sessions'::regclass AND attname = 'created_at'
"""


@define(eq=False)
class Database:
    """Statements on a small pool; failures as the origin words them."""

    pool: AsyncConnectionPool

    async def all(self, statement: str, **parameters: Any) -> list[dict[str, Any]]:
        try:
            async with self.pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(statement, parameters)
                return await cursor.fetchall() if cursor.description else []
        except PoolTimeout as error:
            raise OriginError(f"Database error: Connection pool error: {error}") from error
        except psycopg.Error as error:
            told = error.diag.message_primary
            worded = f"db error: {error.diag.severity}: {told}" if told else str(error).strip() or "connection closed"
            raise OriginError(f"Database error: {worded}") from error


class Cache(Protocol):
    """Sessions before PostgreSQL."""

    async def get(self, key: str) -> bytes | None: ...
    async def set(self, key: str, value: str, life_s: int) -> None: ...
    async def delete(self, key: str) -> None: ...


@define(eq=False)
class ProcessCache:
    """The map of generation g2: nothing leaves it by itself, and no other process sees it."""

    values: dict[str, bytes] = field(factory=dict)

    async def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    async def set(self, key: str, value: str, life_s: int) -> None:
        self.values[key] = value.encode()

    async def delete(self, key: str) -> None:
        self.values.pop(key, None)


@define(eq=False)
class RedisCache:
    """The Redis of generation g1."""

    redis: Any

    async def get(self, key: str) -> bytes | None:
        return await self._during(self.redis.get(key))

    async def set(self, key: str, value: str, life_s: int) -> None:
        await self._during(self.redis.setex(key, life_s, value))

    async def delete(self, key: str) -> None:
        await self._during(self.redis.delete(key))

    async def _during(self, call: Any) -> Any:
        try:
            return await call
        except (redis.RedisError, OSError) as error:
            raise OriginError(f"Cache error: {error}") from error


@define(eq=False)
class RowSessions:
    """Generation g3: PostgreSQL alone, whose clock judges."""

    database: Database
    life_s: int
    zoned: bool | None = None

    async def create(self, *facts: Any) -> Session:
        session = Session.new(*facts, life_s=self.life_s)
        await self.insert(session)
        return session

    async def get(self, request_id: str) -> Session | None:
        rows = await self.database.all(_SELECT_LIVE, request_id=request_id)
        return Session.of_row(rows[0]) if rows else None

    async def update(self, session: Session) -> None:
        await self.database.all(_UPDATE, **session.row())

    async def insert(self, session: Session) -> None:
        """Insert the row; the origin's driver sends an instant with its zone to such a column only."""
        if self.zoned is None:
            self.zoned = (await self.database.all(_ZONED))[0]["zoned"]
        if not self.zoned:
            raise OriginError("Database error: error serializing parameter 3: an instant with a zone is no `timestamp`")
        await self.database.all(_INSERT, **session.row())


@define(eq=False)
class CachedSessions:
    """Generations g1 and g2: a cache first, read through, judged by the controller's clock."""

    rows: RowSessions
    cache: Cache

    async def create(self, *facts: Any) -> Session:
        session = Session.new(*facts, life_s=self.rows.life_s)
        await self._keep(session)
        await self.rows.insert(session)
        return session

    async def get(self, request_id: str) -> Session | None:
        kept = await self.cache.get(f"session:{request_id}")
        session = Session.of_json(kept) if kept is not None else await self._read(request_id)
        if session is None or session.is_expired:
            return await self._expired(session)
        if kept is None:
            await self._keep(session)
        return session

    async def update(self, session: Session) -> None:
        await self._keep(session)
        await self.rows.update(session)

    async def _read(self, request_id: str) -> Session | None:
        rows = await self.rows.database.all(_SELECT, request_id=request_id)
        return Session.of_row(rows[0]) if rows else None

    async def _expired(self, session: Session | None) -> None:
        if session is not None:
            await self.cache.delete(f"session:{session.request_id}")
            await self.rows.database.all(_EXPIRE, request_id=session.request_id)

    async def _keep(self, session: Session) -> None:
        """Store it for the whole length of a life, however old it is."""
        await self.cache.set(f"session:{session.request_id}", session.json(), self.rows.life_s)


Sessions = RowSessions | CachedSessions
