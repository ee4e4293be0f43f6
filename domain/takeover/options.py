"""What a takeover takes, and how: the choice of the operator, as every later command finds it."""

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from domain.identity import Owner
from domain.takeover.languages import MappingRule, OriginLanguages, OriginRuntime
from domain.takeover.owners import AnonymousOwner, LabelOwner, ListedOwner, OwnerRule
from domain.takeover.source_session import Expired, Scriptless

_ANONYMOUS = "anonymous"
_USER_ID = "user_id"


@frozen
class TakeoverOptions:
    """The choice of the operator."""

    owners: OwnerRule
    languages: OriginLanguages
    expired: Expired
    scriptless: Scriptless
    honours_status: bool

    def stored(self) -> Mapping[str, object]:
        """Return the choice as members of a JSON object."""
        return {
            **_stored_rule(self.owners),
            "mappings": [
                {"pattern": rule.pattern, "runtime_type": str(rule.runtime), "is_regex": rule.is_regex}
                for rule in self.languages.rules
            ],
            "expired": str(self.expired),
            "scriptless": str(self.scriptless),
            "honour_status": self.honours_status,
        }

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "TakeoverOptions":
        """Return the choice that `stored` has returned."""
        rules = tuple(
            MappingRule(rule["pattern"], OriginRuntime(rule["runtime_type"]), rule["is_regex"])
            for rule in stored["mappings"]
        )
        return cls(
            _rule_of(stored["owner"], stored.get("default_owner")),
            OriginLanguages(rules),
            Expired(stored["expired"]),
            Scriptless(stored["scriptless"]),
            stored["honour_status"],
        )


def _stored_rule(rule: OwnerRule) -> Mapping[str, object]:
    match rule:
        case LabelOwner(default):
            return {"owner": _USER_ID, "default_owner": default}
        case ListedOwner(listed, default):
            return {"owner": dict(listed), "default_owner": default}
        case _:
            return {"owner": _ANONYMOUS}


def _rule_of(owner: str | Mapping[str, str], default: str | None) -> OwnerRule:
    named = None if default is None else Owner(default)
    if not isinstance(owner, str):
        return ListedOwner({label: Owner(each) for label, each in owner.items()}, named)
    return AnonymousOwner() if named is None else LabelOwner(named)
