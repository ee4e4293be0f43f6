"""The contract of OwnerRules."""

from datetime import timedelta

import pytest

from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from domain.audit import Act, ActName, AuditReader
from domain.egress.owner_rule import OwnerEgressRule, TooManyOwnerRules
from domain.egress.ports import OwnerRules
from domain.egress.rule import EgressRule
from domain.identity import ANONYMOUS, Owner
from tests.support.acts import act, recorded

ALICE = Owner("alice")
BOB = Owner('bob, "the\\builder" ä')
RULES_MAX = 3


def ceiling(text: str) -> EgressRule:
    return EgressRule.parse_ceiling(text)


class OwnerRulesContract:
    """Subclasses have the fixtures `rules`, of which an owner may have RULES_MAX, and `audit`."""

    ids = SequentialIds()
    now = ManualClock().now()

    def act(self, name: ActName) -> Act:
        return act(name, self.ids)

    async def allow(self, rules: OwnerRules, text: str, owner: Owner = ALICE) -> bool:
        return await rules.allow(OwnerEgressRule(owner, ceiling(text), self.now), self.act(ActName.EGRESS_ALLOW))

    async def test_the_rules_of_an_owner_are_sorted_and_those_of_others_are_not_among_them(
        self, rules: OwnerRules
    ) -> None:
        for text in ("b.test:443", "*.a.test:443", "a.test:5432/tcp"):
            assert await self.allow(rules, text)
        assert await self.allow(rules, "c.test:443", BOB)
        assert [str(each) for each in await rules.of(ALICE)] == ["*.a.test:443", "a.test:5432/tcp", "b.test:443"]
        assert list(await rules.of(BOB)) == [ceiling("c.test:443")]
        assert list(await rules.of(ANONYMOUS)) == []

    async def test_a_rule_that_is_allowed_again_keeps_its_time_and_is_not_recorded(
        self, rules: OwnerRules, audit: AuditReader
    ) -> None:
        assert await self.allow(rules, "a.test:443")
        later = OwnerEgressRule(ALICE, ceiling("a.test:443"), self.now + timedelta(hours=1))
        assert not await rules.allow(later, self.act(ActName.EGRESS_ALLOW))
        assert list(await rules.page(ALICE, None, 9)) == [OwnerEgressRule(ALICE, ceiling("a.test:443"), self.now)]
        assert len(await recorded(audit)) == 1

    async def test_a_rule_that_is_denied_is_gone_and_others_stay(self, rules: OwnerRules) -> None:
        for text in ("a.test:443", "a.test:443/tcp"):
            await self.allow(rules, text)
        await self.allow(rules, "a.test:443", BOB)
        assert await rules.deny(ALICE, ceiling("a.test:443"), self.act(ActName.EGRESS_DENY))
        assert list(await rules.of(ALICE)) == [ceiling("a.test:443/tcp")]
        assert list(await rules.of(BOB)) == [ceiling("a.test:443")]

    async def test_a_rule_that_an_owner_has_not_is_not_denied(self, rules: OwnerRules, audit: AuditReader) -> None:
        await self.allow(rules, "*.a.test:443")
        assert not await rules.deny(ALICE, ceiling("b.a.test:443"), self.act(ActName.EGRESS_DENY))
        assert len(await recorded(audit)) == 1

    async def test_acts_are_recorded_with_the_owner_and_the_rule(self, rules: OwnerRules, audit: AuditReader) -> None:
        await self.allow(rules, "a.test:443", BOB)
        await rules.deny(BOB, ceiling("a.test:443"), self.act(ActName.EGRESS_DENY))
        found = [(entry.act, entry.owner, entry.subject, entry.details) for entry in await recorded(audit)]
        assert found == [("egress.deny", BOB, "a.test:443", {}), ("egress.allow", BOB, "a.test:443", {})]

    async def test_an_owner_has_so_many_rules_at_most(self, rules: OwnerRules) -> None:
        for number in range(RULES_MAX):
            await self.allow(rules, f"a{number}.test:443")
        with pytest.raises(TooManyOwnerRules, match=f"alice has {RULES_MAX} egress rules"):
            await self.allow(rules, "b.test:443")
        assert not await self.allow(rules, "a0.test:443")
        assert await self.allow(rules, "b.test:443", BOB)
        await rules.deny(ALICE, ceiling("a0.test:443"), self.act(ActName.EGRESS_DENY))
        assert await self.allow(rules, "b.test:443")

    async def test_rules_are_listed_in_pages_by_owner_and_text(self, rules: OwnerRules) -> None:
        for owner, text in ((BOB, "a.test:443"), (ALICE, "b.test:443"), (ALICE, "*.a.test:443")):
            await self.allow(rules, text, owner)
        first = await rules.page(None, None, 2)
        assert [(each.owner, str(each.rule)) for each in first] == [(ALICE, "*.a.test:443"), (ALICE, "b.test:443")]
        assert [each.owner for each in await rules.page(None, first[-1], 2)] == [BOB]
        assert list(await rules.page(ALICE, first[0], 2)) == [first[1]]
        assert list(await rules.page(ALICE, first[1], 2)) == []
