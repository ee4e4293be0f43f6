"""API keys in PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.statement import BatchStatement, Row
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.calls import ApiKeyStatements
from domain.access.api_key import ApiKey, ApiKeyNotFound
from domain.access.ports import ApiKeyRepository
from domain.access.principal import Scope
from domain.audit import Act
from domain.identity import Owner
from domain.paging import Page

LOOKUPS = CoalescerOptions(concurrency=1, queue_max=1024)
"""One statement at a time: callers that guess keys leave the other connections to known callers."""

_SCOPES = {str(scope): scope for scope in Scope}
_ROW_BYTES = 256


class SelectApiKeys(BatchStatement[UUID, ApiKey | None]):
    """Reads API keys by their ids."""

    name: ClassVar[str] = "api_key"

    @override
    def batch_key(self, call: UUID) -> UUID:
        return call

    @override
    def size(self, call: UUID) -> int:
        return _ROW_BYTES

    @override
    def columns(self, calls: Sequence[UUID]) -> Mapping[str, object]:
        return {"key_ids": codec.uuids(calls)}

    @override
    def decode(self, call: UUID, row: Row) -> ApiKey:
        return _key_of(*row)

    @override
    def absent(self, call: UUID) -> None:
        return None


class PostgresApiKeyRepository(ApiKeyRepository):
    """Stores API keys in `meta.api_keys`."""

    def __init__(self, gateway: Gateway, statements: ApiKeyStatements, lookups: CoalescerOptions = LOOKUPS) -> None:
        self._gateway = gateway
        self._statements = statements
        self._lookups = Coalescer(gateway, SelectApiKeys(statements.select_api_keys), lookups, share=True)

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """All coalescers of this repository, for metrics and to be closed."""
        return (self._lookups,)

    @override
    async def add(self, key: ApiKey, act: Act) -> None:
        await self._gateway.fetch(
            self._statements.insert_api_key,
            {
                "key_id": key.key_id,
                "owner": key.owner,
                "scopes": codec.texts(sorted(key.scopes)),
                "secret_hash": key.secret_hash,
                "expires_at": key.expires_at,
                **codec.act_columns(act),
            },
        )

    @override
    async def find(self, key_id: UUID) -> ApiKey | None:
        return await self._lookups.submit(key_id)

    @override
    async def revoke(self, key_id: UUID, now: datetime, act: Act) -> ApiKey:
        parameters = {"key_id": key_id, "now": now, **codec.act_columns(act)}
        found = await self._gateway.fetch(self._statements.revoke_api_key, parameters)
        if not found:
            raise ApiKeyNotFound
        return _key_of(*found[0])

    @override
    async def record_uses(self, used_at: Mapping[UUID, datetime]) -> None:
        if used_at:
            parameters = {"key_ids": codec.uuids(used_at), "used_ats": codec.instants(used_at.values())}
            await self._gateway.fetch(self._statements.record_api_key_uses, parameters)

    @override
    async def page(self, owner: Owner | None, after: UUID | None, size: int) -> Page[ApiKey]:
        found = await self._gateway.fetch(
            self._statements.select_api_key_page, {"owner": owner, "after": after, "rows_max": size + 1}
        )
        keys = [_key_of(*row) for row in found[:size]]
        return Page(keys, keys[-1].key_id if len(found) > size else None)


def _key_of(key_id: UUID, owner: Any, scopes: Any, secret_hash: Any, *instants: Any) -> ApiKey:
    """Return the key in a row, without scopes that this release does not know."""
    known = frozenset(_SCOPES[scope] for scope in scopes if scope in _SCOPES)
    return ApiKey(key_id, Owner(owner), known, bytes(secret_hash), *instants)
