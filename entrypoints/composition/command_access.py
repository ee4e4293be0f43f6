"""API keys and owners, for commands that connect for one task."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adapters.postgres.repositories.api_keys import PostgresApiKeyRepository
from adapters.postgres.repositories.owner_mover import PostgresOwnerMover
from adapters.random_ids import RandomIds
from domain.access.api_key import SECRET_BYTES
from domain.access.api_key_service import ApiKeyService
from domain.access.owner_move import OwnerMover
from entrypoints.composition.command_gateway import connected
from entrypoints.settings.settings import Settings

_STEP_TIMEOUT_S = 20.0
"""What one step of a move may take; nobody waits for it but an operator."""


@asynccontextmanager
async def command_keys(settings: Settings) -> AsyncIterator[ApiKeyService]:
    """Yield the API keys of a database; raises StorageUnavailable, or RuntimeError when it has not their table."""
    async with connected(settings, settings.request_timeout_ms / 1000) as database:
        repository = PostgresApiKeyRepository(database.gateway, database.statements.api_keys)
        yield ApiKeyService(database.clock, RandomIds(), repository, lambda: secrets.token_urlsafe(SECRET_BYTES))


@asynccontextmanager
async def command_owners(settings: Settings) -> AsyncIterator[OwnerMover]:
    """Yield what moves the belongings of owners; raises as `command_keys` does."""
    async with connected(settings, _STEP_TIMEOUT_S) as database:
        yield PostgresOwnerMover(database.gateway, database.statements.owners, database.clock)
