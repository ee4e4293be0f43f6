"""The grant of a network: hosts that the script of a session may reach."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

from attrs import frozen

from domain.egress.rule import RULES_MAX, EgressRule, is_covered
from domain.errors import Problem
from domain.scripts.language import Language


@frozen
class NetworkGrant:
    """The rules of a session, in the order of the request."""

    allow: tuple[EgressRule, ...]

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Return the grant with these facts."""
        return cls(tuple(map(EgressRule.parse, facts["allow"])))

    def facts(self) -> Mapping[str, Any]:
        """Return the grant as JSON values."""
        return {"allow": [str(rule) for rule in self.allow]}

    def problems(self, _language: Language) -> Iterator[Problem]:
        """Yield why the grant has too many rules, or contradicts itself."""
        if len(self.allow) > RULES_MAX:
            yield Problem("/allow", f"has {len(self.allow)} rules; the limit is {RULES_MAX}")
        seen: set[tuple[str, int]] = set()
        for at, rule in enumerate(self.allow):
            if (rule.name, rule.port) in seen:
                yield Problem(f"/allow/{at}", f"must be absent: {rule.name}:{rule.port} is named before")
            seen.add((rule.name, rule.port))

    def excess(self, granted: "NetworkGrant") -> Iterator[Problem]:
        """Yield the rules that the function does not grant."""
        for at, rule in enumerate(self.allow):
            if not is_covered(rule, granted.allow):
                yield Problem(f"/allow/{at}", f"must be absent: the function of the session does not grant {rule}")
