"""Secrets in memory."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from attrs import define, evolve, field
from typing_extensions import override

from adapters.memory.audit import MemoryAudit
from domain.audit import Act
from domain.errors import QuotaReached
from domain.identity import EVERY_OWNER, Owner
from domain.secrets.ports import SecretRepository, SecretUses
from domain.secrets.secret import SealedSecret, SecretNotFound, SecretRef, StoredSecret


@define
class MemorySecretRepository(SecretRepository):
    """Stores secrets, and counts the reads; while `failure` is set, every call raises it."""

    rows: dict[SecretRef, SealedSecret] = field(factory=dict)
    reads: int = 0
    failure: Exception | None = None
    audit: MemoryAudit = field(factory=MemoryAudit)
    _counted: dict[Act, int] = field(factory=dict, init=False)

    @override
    async def read(self, refs: Collection[SecretRef]) -> Mapping[SecretRef, SealedSecret]:
        self._require_available()
        self.reads += 1
        return {ref: self.rows[ref] for ref in refs if ref in self.rows}

    @override
    async def page(self, owner: Owner) -> Sequence[StoredSecret]:
        return [each.secret for each in self._of(owner)]

    @override
    async def put(
        self, ref: SecretRef, change: Callable[[StoredSecret | None], SealedSecret], owner_max: int, act: Act
    ) -> StoredSecret:
        stored, owned = self.rows.get(ref), len(self._of(ref.owner))
        if stored is None and owned >= owner_max:
            raise QuotaReached("secrets", owner_max, owned)
        new = change(None if stored is None else stored.secret)
        if stored is not None:
            kept = evolve(new.secret, uses=stored.secret.uses, last_used_at=stored.secret.last_used_at)
            new = evolve(new, secret=kept)
        self.rows[ref] = new
        limits = new.secret.functions
        details = {"version": new.secret.version, "functions": limits and list(map(str, limits))}
        self.audit.record(act, ref.owner, ref.name, details)
        return new.secret

    @override
    async def remove(self, ref: SecretRef, act: Act) -> None:
        self._require_available()
        removed = self.rows.pop(ref, None)
        if removed is None:
            raise SecretNotFound(ref.name)
        self.audit.record(act, ref.owner, ref.name, {"version": removed.secret.version})

    @override
    async def record_uses(self, uses: Mapping[SecretRef, SecretUses]) -> None:
        self._require_available()
        for ref, each in uses.items():
            if ref in self.rows:
                self.rows[ref] = evolve(self.rows[ref], secret=_used(self.rows[ref].secret, each))

    @override
    async def key_counts(self, owner: Owner) -> Mapping[str, int]:
        counts: dict[str, int] = {}
        for each in self._of(owner):
            counts[each.sealed.key_id] = counts.get(each.sealed.key_id, 0) + 1
        return counts

    @override
    async def sealed(
        self, owner: Owner, except_key: str | None, after: SecretRef | None, size: int
    ) -> Sequence[SealedSecret]:
        place = ("", "") if after is None else (after.owner, after.name)
        behind = [each for each in self._of(owner) if (each.secret.ref.owner, each.secret.ref.name) > place]
        return [each for each in behind if each.sealed.key_id != except_key][:size]

    @override
    async def reseal(
        self, changes: Collection[tuple[SealedSecret, SealedSecret]], act: Act, owner: Owner | None, subject: str
    ) -> int:
        changed = sum(self._resealed(former, new) for former, new in changes)
        if changed:
            self._counted[act] = self._counted.get(act, 0) + changed
            self.audit.record(act, owner, subject, {"secrets": self._counted[act]})
        return changed

    def _resealed(self, former: SealedSecret, new: SealedSecret) -> bool:
        ref, target = former.secret.ref, new.secret.ref
        stored = self.rows.get(ref)
        if stored is None or _identity(stored) != _identity(former) or (target != ref and target in self.rows):
            return False
        del self.rows[ref]
        self.rows[target] = new
        return True

    def _of(self, owner: Owner) -> Sequence[SealedSecret]:
        self._require_available()
        rows = [each for ref, each in self.rows.items() if owner in {ref.owner, EVERY_OWNER}]
        return sorted(rows, key=lambda each: (each.secret.ref.owner, each.secret.ref.name))

    def _require_available(self) -> None:
        if self.failure is not None:
            raise self.failure


def _identity(row: SealedSecret) -> tuple[int, str]:
    return row.secret.version, row.sealed.key_id


def _used(secret: StoredSecret, uses: SecretUses) -> StoredSecret:
    last: datetime = uses.last_at if secret.last_used_at is None else max(secret.last_used_at, uses.last_at)
    return evolve(secret, uses=secret.uses + uses.count, last_used_at=last)
