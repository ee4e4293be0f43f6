"""Egress rules of single owners in memory."""

from collections.abc import Sequence

from attrs import define, field
from typing_extensions import override

from adapters.memory.audit import MemoryAudit
from domain.audit import Act
from domain.egress.owner_rule import OWNER_RULES_MAX, OwnerEgressRule, TooManyOwnerRules
from domain.egress.ports import OwnerRules
from domain.egress.rule import EgressRule
from domain.identity import Owner


@define
class MemoryOwnerRules(OwnerRules):
    """Stores rules, and counts the lookups; while `failure` is set, every call raises it."""

    rules_max: int = OWNER_RULES_MAX
    rules: dict[tuple[Owner, str], OwnerEgressRule] = field(factory=dict)
    lookups: int = 0
    failure: Exception | None = None
    audit: MemoryAudit = field(factory=MemoryAudit)

    @override
    async def of(self, owner: Owner) -> Sequence[EgressRule]:
        self.lookups += 1
        self._require_available()
        return tuple(each.rule for each in self._sorted(owner))

    @override
    async def allow(self, rule: OwnerEgressRule, act: Act) -> bool:
        self._require_available()
        key = rule.owner, str(rule.rule)
        if key in self.rules:
            return False
        if len(self._sorted(rule.owner)) >= self.rules_max:
            raise TooManyOwnerRules(rule.owner, self.rules_max)
        self.rules[key] = rule
        self.audit.record(act, rule.owner, str(rule.rule), {})
        return True

    @override
    async def deny(self, owner: Owner, rule: EgressRule, act: Act) -> bool:
        self._require_available()
        if self.rules.pop((owner, str(rule)), None) is None:
            return False
        self.audit.record(act, owner, str(rule), {})
        return True

    @override
    async def page(self, owner: Owner | None, after: OwnerEgressRule | None, size: int) -> Sequence[OwnerEgressRule]:
        self._require_available()
        behind = None if after is None else (after.owner, str(after.rule))
        return [each for each in self._sorted(owner) if behind is None or (each.owner, str(each.rule)) > behind][:size]

    def _sorted(self, owner: Owner | None) -> Sequence[OwnerEgressRule]:
        return [each for key, each in sorted(self.rules.items()) if owner in {None, key[0]}]

    def _require_available(self) -> None:
        if self.failure is not None:
            raise self.failure
