"""The use cases of egress rules of single owners: allow, deny and list them."""

from collections.abc import AsyncIterator

from attrs import define

from domain.audit import ActName, Actor, new_act
from domain.clock import Clock, IdGenerator
from domain.egress.owner_rule import OwnerEgressRule
from domain.egress.ports import OwnerRules
from domain.egress.rule import EgressRule
from domain.identity import Owner

_PAGE = 200


@define
class OwnerRuleService:
    """The use cases of the rules, for an actor. Methods may raise StorageUnavailable."""

    _clock: Clock
    _ids: IdGenerator
    _rules: OwnerRules
    _actor: Actor

    async def has(self, owner: Owner, rule: EgressRule) -> bool:
        """Return whether the owner has exactly this rule."""
        return rule in await self._rules.of(owner)

    async def allow(self, owner: Owner, rule: EgressRule) -> bool:
        """Let scripts of the owner reach what the rule covers; return whether it is new. Raises TooManyOwnerRules."""
        act = new_act(self._clock, self._ids, self._actor, ActName.EGRESS_ALLOW)
        return await self._rules.allow(OwnerEgressRule(owner, rule, self._clock.now()), act)

    async def deny(self, owner: Owner, rule: EgressRule) -> bool:
        """Remove the rule of the owner; return whether there was one."""
        act = new_act(self._clock, self._ids, self._actor, ActName.EGRESS_DENY)
        return await self._rules.deny(owner, rule, act)

    async def every(self, owner: Owner | None) -> AsyncIterator[OwnerEgressRule]:
        """Yield the rules of an owner, or of all owners, by owner and text."""
        after: OwnerEgressRule | None = None
        while True:
            page = await self._rules.page(owner, after, _PAGE)
            for rule in page:
                yield rule
            if len(page) < _PAGE:
                return
            after = page[-1]
