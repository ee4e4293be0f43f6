"""Secrets in PostgreSQL."""

import asyncio
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.statement import BatchStatement, Row
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.calls import SecretStatements
from domain.audit import Act
from domain.errors import QuotaReached
from domain.identity import Owner
from domain.secrets.ports import SecretRepository, SecretUses
from domain.secrets.secret import (
    FunctionLimit,
    Sealed,
    SealedSecret,
    SecretConflict,
    SecretNotFound,
    SecretRef,
    StoredSecret,
)

_RACES_MAX = 10
_RACE_PAUSE_S = 0.02
_PAGE_MAX = 1000
_ROW_BYTES = 4096
"""What a secret counts in a batch before it is read; few are larger."""

_FACTS = 10
"""The columns in front of the sealed value."""


class SelectSecrets(BatchStatement[SecretRef, SealedSecret | None]):
    """Reads secrets with their sealed values."""

    name: ClassVar[str] = "secret"
    divisible: ClassVar[bool] = True

    @override
    def batch_key(self, call: SecretRef) -> SecretRef:
        return call

    @override
    def size(self, call: SecretRef) -> int:
        return _ROW_BYTES

    @override
    def columns(self, calls: Sequence[SecretRef]) -> Mapping[str, object]:
        return _ref_columns(calls)

    @override
    def decode(self, call: SecretRef, row: Row) -> SealedSecret:
        return _sealed_secret_of(row)

    @override
    def absent(self, call: SecretRef) -> None:
        return None


class PostgresSecretRepository(SecretRepository):
    """Stores secrets in `meta.secrets`."""

    def __init__(self, gateway: Gateway, statements: SecretStatements, lookups: CoalescerOptions | None = None) -> None:
        self._gateway = gateway
        self._statements = statements
        select = SelectSecrets(statements.select_secrets)
        self._lookups = Coalescer(gateway, select, lookups or CoalescerOptions(), share=True)

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """All coalescers of this repository, for metrics and to be closed."""
        return (self._lookups,)

    @override
    async def read(self, refs: Collection[SecretRef]) -> Mapping[SecretRef, SealedSecret]:
        # Calls of one turn of the event loop leave as one statement.
        found = await asyncio.gather(*map(self._lookups.submit, refs))
        return {each.secret.ref: each for each in found if each is not None}

    @override
    async def page(self, owner: Owner) -> Sequence[StoredSecret]:
        parameters = {"owner": owner, "rows_max": _PAGE_MAX}
        rows = await self._gateway.fetch(self._statements.select_secret_page, parameters)
        return [_secret_of(row) for row in rows]

    @override
    async def put(
        self, ref: SecretRef, change: Callable[[StoredSecret | None], SealedSecret], owner_max: int, act: Act
    ) -> StoredSecret:
        for _ in range(_RACES_MAX):
            found = (await self.read([ref])).get(ref)
            read = None if found is None else found.secret
            stored = await self._stored(read, change(read), owner_max, act)
            if stored is not None:
                return stored
            await asyncio.sleep(random.uniform(0, _RACE_PAUSE_S))  # noqa: S311  # keeps the losers of one race apart
        raise SecretConflict

    async def _stored(
        self, read: StoredSecret | None, new: SealedSecret, owner_max: int, act: Act
    ) -> StoredSecret | None:
        """Return the new version as it is stored; None if another call was faster."""
        parameters = {
            "owner": new.secret.ref.owner,
            "name": new.secret.ref.name,
            "version_read": 0 if read is None else read.version,
            "key_id": new.sealed.key_id,
            "nonce": new.sealed.nonce,
            "sealed": new.sealed.content,
            **_limit_columns(new.secret),
            "created_at": new.secret.created_at,
            "author": new.secret.author,
            "owner_max": owner_max,
            **codec.act_columns(act),
        }
        ((owned, has_it, version, *uses),) = await self._gateway.fetch(self._statements.store_secret, parameters)
        if version is not None:
            return _with_uses(new.secret, *uses)
        if read is None and not has_it and owned >= owner_max:
            raise QuotaReached("secrets", owner_max, owned)
        return None

    @override
    async def remove(self, ref: SecretRef, act: Act) -> None:
        parameters = {"owner": ref.owner, "name": ref.name, **codec.act_columns(act)}
        if not await self._gateway.fetch(self._statements.delete_secret, parameters):
            raise SecretNotFound(ref.name)

    @override
    async def record_uses(self, uses: Mapping[SecretRef, SecretUses]) -> None:
        if uses:
            parameters = {
                **_ref_columns(list(uses)),
                "counts": codec.numbers(each.count for each in uses.values()),
                "used_ats": codec.instants(each.last_at for each in uses.values()),
            }
            await self._gateway.fetch(self._statements.record_secret_uses, parameters)

    @override
    async def key_counts(self, owner: Owner) -> Mapping[str, int]:
        return dict(await self._gateway.fetch(self._statements.select_secret_keys, {"owner": owner}))

    @override
    async def sealed(
        self, owner: Owner, except_key: str | None, after: SecretRef | None, size: int
    ) -> Sequence[SealedSecret]:
        parameters = {
            "owner": owner,
            "except_key": except_key or "",
            "after_owner": "" if after is None else after.owner,
            "after_name": "" if after is None else after.name,
            "rows_max": size,
        }
        rows = await self._gateway.fetch(self._statements.select_sealed_secrets, parameters)
        return [_sealed_secret_of(row) for row in rows]

    @override
    async def reseal(
        self, changes: Collection[tuple[SealedSecret, SealedSecret]], act: Act, owner: Owner | None, subject: str
    ) -> int:
        if not changes:
            return 0
        former, new = [each for each, _ in changes], [each for _, each in changes]
        parameters = {
            **_ref_columns([each.secret.ref for each in former]),
            "versions": codec.numbers(each.secret.version for each in former),
            "key_ids": codec.texts(each.sealed.key_id for each in former),
            "new_owners": codec.texts(each.secret.ref.owner for each in new),
            "new_key_ids": codec.texts(each.sealed.key_id for each in new),
            "nonces": codec.binaries(each.sealed.nonce for each in new),
            "contents": codec.binaries(each.sealed.content for each in new),
            "act_owner": owner,
            "subject": subject,
            **codec.act_columns(act),
        }
        ((changed,),) = await self._gateway.fetch(self._statements.reseal_secrets, parameters)
        return int(changed)


def _ref_columns(refs: Sequence[SecretRef]) -> dict[str, object]:
    return {"owners": codec.texts(ref.owner for ref in refs), "names": codec.texts(ref.name for ref in refs)}


def _limit_columns(secret: StoredSecret) -> dict[str, object]:
    if secret.functions is None:
        return {"functions": None, "function_ids": None}
    return {
        "functions": codec.texts(map(str, secret.functions)),
        "function_ids": codec.uuids(each.function_id for each in secret.functions),
    }


def _with_uses(secret: StoredSecret, last_used_at: datetime | None, uses: int) -> StoredSecret:
    facts = (secret.ref, secret.version, secret.key_id, secret.created_at, secret.author, secret.functions)
    return StoredSecret(*facts, last_used_at, uses)


def _sealed_secret_of(row: Row) -> SealedSecret:
    secret, (nonce, content) = _secret_of(row[:_FACTS]), row[_FACTS:]
    return SealedSecret(secret, Sealed(secret.key_id, bytes(nonce), bytes(content)))


def _secret_of(row: Row) -> StoredSecret:
    owner, name, version, key_id, created_at, author, functions, function_ids, *uses = row
    limits = None if functions is None else _limits_of(functions, function_ids)
    return StoredSecret(SecretRef(Owner(owner), name), version, key_id, created_at, author, limits, *uses)


def _limits_of(functions: Sequence[str], function_ids: Sequence[UUID]) -> tuple[FunctionLimit, ...]:
    return tuple(FunctionLimit.of(each, text) for each, text in zip(function_ids, functions, strict=True))
