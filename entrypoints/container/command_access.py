"""API keys and owners, for commands that connect for one task."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import evolve

from adapters.postgres.api_keys import PostgresApiKeyRepository
from adapters.postgres.gateway import Gateway
from adapters.postgres.owner_mover import PostgresOwnerMover
from adapters.postgres.schema import Schema
from adapters.postgres.statements import Statements, load_statements
from adapters.random_ids import RandomIds
from domain.api_key import SECRET_BYTES
from domain.api_key_service import ApiKeyService
from domain.owner_move import OwnerMover
from domain.ports import Clock
from entrypoints.container.database import disciplined_clock
from entrypoints.container.options import gateway_options
from entrypoints.settings import Settings

_STEP_TIMEOUT_S = 20.0
"""What one step of a move may take; nobody waits for it but an operator."""


@asynccontextmanager
async def command_keys(settings: Settings) -> AsyncIterator[ApiKeyService]:
    """Yield the API keys of a database; raises StorageUnavailable, or RuntimeError when it has not their table."""
    async with _connected(settings, settings.request_timeout_ms / 1000) as (gateway, statements, clock):
        repository = PostgresApiKeyRepository(gateway, statements.api_keys)
        yield ApiKeyService(clock, RandomIds(), repository, lambda: secrets.token_urlsafe(SECRET_BYTES))


@asynccontextmanager
async def command_owners(settings: Settings) -> AsyncIterator[OwnerMover]:
    """Yield what moves the belongings of owners; raises as `command_keys` does."""
    async with _connected(settings, _STEP_TIMEOUT_S) as (gateway, statements, clock):
        yield PostgresOwnerMover(gateway, statements.owners, clock)


@asynccontextmanager
async def _connected(settings: Settings, timeout_s: float) -> AsyncIterator[tuple[Gateway, Statements, Clock]]:
    """Yield a gateway to a database of this release's schema, and the database's clock."""
    gateway, statements = Gateway(evolve(gateway_options(settings), request_timeout_s=timeout_s)), load_statements()
    await gateway.open()
    try:
        pending = await Schema(gateway, statements.migrations).pending()
        if pending:
            raise RuntimeError(f"The schema lacks {', '.join(pending)}. Run `pglambda migrate up` first.")
        clock = disciplined_clock(gateway, statements.clock.select_clock)
        await clock.measure()
        yield gateway, statements, clock
    finally:
        await gateway.close()
