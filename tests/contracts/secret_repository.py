"""The contract of SecretRepository."""

from datetime import timedelta
from uuid import UUID

import pytest
from attrs import evolve

from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from domain.audit import Act, ActName, AuditReader
from domain.errors import QuotaReached
from domain.identity import EVERY_OWNER, Owner
from domain.scripts.language import LanguageTitle
from domain.secrets.ports import SecretRepository, SecretUses
from domain.secrets.secret import FunctionLimit, Sealed, SealedSecret, SecretNotFound, SecretRef, StoredSecret
from tests.support.acts import act, recorded

ALICE = Owner("alice")
BOB = Owner('b/ob, "the\\builder" ä')
TOKEN = SecretRef(ALICE, "TOKEN")
HOUR = timedelta(hours=1)
MANY = 100


def sealed_by(key_id: str, content: bytes = b"\0sealed\\\xff") -> Sealed:
    return Sealed(key_id, bytes(range(12)), content)


class SecretRepositoryContract:
    """Subclasses have the fixtures `secrets` and `audit`."""

    ids = SequentialIds()
    now = ManualClock().now()

    def act(self, name: ActName = ActName.SECRETS_SET) -> Act:
        return act(name, self.ids)

    async def stored(
        self,
        secrets: SecretRepository,
        ref: SecretRef = TOKEN,
        key_id: str = "first",
        functions: tuple[FunctionLimit, ...] | None = None,
        owner_max: int = MANY,
    ) -> StoredSecret:
        def change(read: StoredSecret | None) -> SealedSecret:
            version = 1 if read is None else read.version + 1
            return SealedSecret(StoredSecret(ref, version, key_id, self.now, "alice", functions), sealed_by(key_id))

        return await secrets.put(ref, change, owner_max, self.act())

    async def read(self, secrets: SecretRepository, ref: SecretRef = TOKEN) -> SealedSecret:
        return (await secrets.read([ref]))[ref]

    async def test_a_stored_secret_is_read_with_its_sealed_value(self, secrets: SecretRepository) -> None:
        stored = await self.stored(secrets)
        found = await self.read(secrets)
        assert (found.secret, found.sealed) == (stored, sealed_by("first"))
        assert (stored.version, stored.uses, stored.last_used_at, stored.functions) == (1, 0, None, None)

    async def test_only_secrets_that_exist_are_read(self, secrets: SecretRepository) -> None:
        await self.stored(secrets)
        others = [SecretRef(BOB, "TOKEN"), SecretRef(ALICE, "OTHER")]
        assert list(await secrets.read([*others, TOKEN])) == [TOKEN]
        assert await secrets.read([]) == {}

    async def test_limits_to_functions_are_kept(self, secrets: SecretRepository) -> None:
        limits = tuple(
            FunctionLimit(self.ids.new(self.now), owner, LanguageTitle.of("python-a-b"), version)
            for owner, version in ((BOB, None), (ALICE, 3))
        )
        await self.stored(secrets, functions=limits)
        await self.stored(secrets, SecretRef(ALICE, "NOWHERE"), functions=())
        assert (await self.read(secrets)).secret.functions == limits
        assert (await self.read(secrets, SecretRef(ALICE, "NOWHERE"))).secret.functions == ()

    async def test_a_new_value_is_the_next_version_and_keeps_its_uses(self, secrets: SecretRepository) -> None:
        await self.stored(secrets)
        await secrets.record_uses({TOKEN: SecretUses(3, self.now)})
        stored = await self.stored(secrets, key_id="second")
        assert (stored.version, stored.key_id, stored.uses, stored.last_used_at) == (2, "second", 3, self.now)
        assert (await self.read(secrets)).secret == stored

    async def test_uses_add_up_and_the_latest_instant_is_kept(self, secrets: SecretRepository) -> None:
        await self.stored(secrets)
        await secrets.record_uses(
            {TOKEN: SecretUses(2, self.now + HOUR), SecretRef(BOB, "NONE"): SecretUses(1, self.now)}
        )
        await secrets.record_uses({TOKEN: SecretUses(3, self.now)})
        await secrets.record_uses({})
        found = (await self.read(secrets)).secret
        assert (found.uses, found.last_used_at) == (5, self.now + HOUR)

    async def test_a_page_has_the_secrets_of_one_owner_by_name(self, secrets: SecretRepository) -> None:
        for name in ("B", "A_2", "A_10"):
            await self.stored(secrets, SecretRef(ALICE, name))
        other = await self.stored(secrets, SecretRef(BOB, "B"))
        assert [each.ref.name for each in await secrets.page(ALICE)] == ["A_10", "A_2", "B"]
        assert await secrets.page(BOB) == [other]

    async def test_a_new_secret_beyond_the_quota_is_refused(self, secrets: SecretRepository) -> None:
        await self.stored(secrets, owner_max=1)
        with pytest.raises(QuotaReached) as caught:
            await self.stored(secrets, SecretRef(ALICE, "OTHER"), owner_max=1)
        assert caught.value.details == {"limit": "secrets", "allowed": 1, "observed": 1}
        await self.stored(secrets, SecretRef(BOB, "OTHER"), owner_max=1)
        assert (await self.stored(secrets, owner_max=1)).version == 2

    async def test_a_removed_secret_is_gone(self, secrets: SecretRepository) -> None:
        await self.stored(secrets)
        await secrets.remove(TOKEN, self.act(ActName.SECRETS_DELETE))
        assert await secrets.read([TOKEN]) == {}
        with pytest.raises(SecretNotFound):
            await secrets.remove(TOKEN, self.act(ActName.SECRETS_DELETE))

    async def test_acts_are_recorded_without_content(self, secrets: SecretRepository, audit: AuditReader) -> None:
        limit = FunctionLimit(UUID(int=7), ALICE, LanguageTitle.of("python-adder"))
        await self.stored(secrets, functions=(limit,))
        await secrets.remove(TOKEN, self.act(ActName.SECRETS_DELETE))
        removed, stored = await recorded(audit)
        assert (stored.act, stored.owner, stored.subject) == ("secrets.set", ALICE, "TOKEN")
        assert stored.details == {"version": 1, "functions": ["alice/python-adder"]}
        assert (removed.act, removed.subject, removed.details) == ("secrets.delete", "TOKEN", {"version": 1})

    async def test_keys_are_counted_by_owner_and_in_all(self, secrets: SecretRepository) -> None:
        await self.stored(secrets)
        await self.stored(secrets, SecretRef(ALICE, "OTHER"), "second")
        await self.stored(secrets, SecretRef(BOB, "TOKEN"), "second")
        assert await secrets.key_counts(ALICE) == {"first": 1, "second": 1}
        assert await secrets.key_counts(EVERY_OWNER) == {"first": 1, "second": 2}
        assert await secrets.key_counts(Owner("nobody")) == {}

    async def test_sealed_secrets_come_in_order_without_those_of_a_key(self, secrets: SecretRepository) -> None:
        refs = [SecretRef(owner, name) for owner in (ALICE, BOB) for name in ("A", "B", "C")]
        for ref in refs:
            await self.stored(secrets, ref, "second" if ref.name == "B" else "first")
        walked: list[SecretRef] = []
        while found := await secrets.sealed(EVERY_OWNER, "second", walked[-1] if walked else None, 3):
            walked += [each.secret.ref for each in found]
        assert walked == [ref for ref in refs if ref.name != "B"]
        assert [each.secret.ref for each in await secrets.sealed(BOB, None, None, 10)] == refs[3:]

    async def test_resealing_replaces_what_is_as_it_was_read(
        self, secrets: SecretRepository, audit: AuditReader
    ) -> None:
        refs = [SecretRef(ALICE, "A"), SecretRef(ALICE, "B"), SecretRef(BOB, "C")]
        for ref in refs:
            await self.stored(secrets, ref)
        rows = await secrets.sealed(EVERY_OWNER, None, None, 10)
        await self.stored(secrets, refs[1])
        rotation = self.act(ActName.SECRETS_ROTATE)
        pairs = [(row, row.resealed(sealed_by("second", b"anew"))) for row in rows]
        assert await secrets.reseal(pairs[:2], rotation, None, "second") == 1
        assert await secrets.reseal(pairs, rotation, None, "second") == 1
        assert await secrets.reseal([], rotation, None, "second") == 0
        assert await secrets.key_counts(EVERY_OWNER) == {"first": 1, "second": 2}
        found = await self.read(secrets, refs[2])
        assert (found.sealed, found.secret.version) == (sealed_by("second", b"anew"), 1)
        newest, *_ = await recorded(audit)
        assert (newest.act, newest.owner, newest.subject, newest.details) == (
            "secrets.rotate", None, "second", {"secrets": 2},
        )  # fmt: skip

    async def test_a_move_keeps_everything_but_a_name_that_the_other_owner_has(self, secrets: SecretRepository) -> None:
        own = FunctionLimit(UUID(int=1), ALICE, LanguageTitle.of("python-a"), 2)
        foreign = FunctionLimit(UUID(int=2), Owner("x/alice"), LanguageTitle.of("python-a"))
        await self.stored(secrets, functions=(own, foreign))
        await self.stored(secrets, SecretRef(ALICE, "BOTH"))
        kept = await self.stored(secrets, SecretRef(BOB, "BOTH"))
        await secrets.record_uses({TOKEN: SecretUses(4, self.now)})
        rows = await secrets.sealed(ALICE, None, None, 10)
        pairs = [(row, row.moved(BOB, sealed_by("second", b"anew"))) for row in rows]
        assert await secrets.reseal(pairs, self.act(ActName.OWNERS_MOVE), ALICE, BOB) == 1
        assert [each.ref for each in await secrets.page(ALICE)] == [SecretRef(ALICE, "BOTH")]
        both, moved = await secrets.page(BOB)
        assert both == kept
        assert (moved.ref, moved.version, moved.uses, moved.key_id) == (SecretRef(BOB, "TOKEN"), 1, 4, "second")
        assert moved.functions == (evolve(own, owner=BOB), foreign)
