"""API keys in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from typing_extensions import override

from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.codec import array_literals
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements import ApiKeyStatements
from domain.access.api_key import ApiKey, ApiKeyNotFound
from domain.access.ports import ApiKeyRepository
from domain.access.principal import Scope
from domain.identity import Owner
from domain.paging import Page

LOOKUPS = CoalescerOptions(concurrency=1, queue_max=1024)
"""One statement at a time, whoever guesses keys: the other connections are for those who are known."""

_SCOPES = {str(scope): scope for scope in Scope}
_ROW_BYTES = 256


class PostgresApiKeyRepository(ApiKeyRepository):
    """Keeps API keys in `meta.api_keys`."""

    def __init__(self, gateway: Gateway, statements: ApiKeyStatements, lookups: CoalescerOptions = LOOKUPS) -> None:
        self._gateway = gateway
        self._statements = statements
        self._lookups: Coalescer[UUID, ApiKey | None] = Coalescer(
            "api_key", self._find, key=_itself, size=_row_size, options=lookups, share=True
        )

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """All of this repository's, to be watched and closed."""
        return (self._lookups,)

    @override
    async def add(self, key: ApiKey) -> None:
        await self._gateway.fetch(
            self._statements.insert_api_key,
            {
                "key_id": key.key_id,
                "owner": key.owner,
                "scopes": array_literals.texts(sorted(key.scopes)),
                "secret_hash": key.secret_hash,
                "expires_at": key.expires_at,
            },
        )

    @override
    async def find(self, key_id: UUID) -> ApiKey | None:
        return await self._lookups.ask(key_id)

    @override
    async def revoke(self, key_id: UUID, now: datetime) -> ApiKey:
        found = await self._gateway.fetch(self._statements.revoke_api_key, {"key_id": key_id, "now": now})
        if not found:
            raise ApiKeyNotFound
        return _key_of(*found[0])

    @override
    async def page(self, owner: Owner | None, after: UUID | None, size: int) -> Page[ApiKey]:
        found = await self._gateway.fetch(
            self._statements.select_api_key_page, {"owner": owner, "after": after, "rows_max": size + 1}
        )
        keys = [_key_of(*row) for row in found[:size]]
        return Page(keys, keys[-1].key_id if len(found) > size else None)

    async def _find(self, key_ids: Sequence[UUID]) -> Sequence[ApiKey | None]:
        found = await self._gateway.fetch(self._statements.select_api_keys, {"key_ids": array_literals.uuids(key_ids)})
        answers: list[ApiKey | None] = [None] * len(key_ids)
        for ordinal, *row in found:
            answers[ordinal - 1] = _key_of(*row)
        return answers


def _key_of(key_id: UUID, owner: Any, scopes: Any, secret_hash: Any, *instants: Any) -> ApiKey:
    """Return the key in a row; scopes that this release does not know allow nothing."""
    known = frozenset(_SCOPES[scope] for scope in scopes if scope in _SCOPES)
    return ApiKey(key_id, Owner(owner), known, bytes(secret_hash), *instants)


def _itself(key_id: UUID) -> UUID:
    return key_id


def _row_size(_: UUID) -> int:
    return _ROW_BYTES
