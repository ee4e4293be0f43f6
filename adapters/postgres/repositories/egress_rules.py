"""Egress rules of single owners in PostgreSQL."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.statement import BatchStatement, Row
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.calls import EgressRuleStatements
from domain.audit import Act
from domain.egress.owner_rule import OWNER_RULES_MAX, OwnerEgressRule, TooManyOwnerRules
from domain.egress.ports import OwnerRules
from domain.egress.rule import EgressRule
from domain.identity import Owner

LOOKUPS = CoalescerOptions(concurrency=1, queue_max=1024)
"""One statement at a time: each process reads the rules of an owner once in some seconds."""

_ROW_BYTES = 1024


class SelectEgressRules(BatchStatement[Owner, Sequence[EgressRule]]):
    """Reads the rules of owners."""

    name: ClassVar[str] = "egress_rules"

    @override
    def batch_key(self, call: Owner) -> Owner:
        return call

    @override
    def size(self, call: Owner) -> int:
        return _ROW_BYTES

    @override
    def columns(self, calls: Sequence[Owner]) -> Mapping[str, object]:
        return {"owners": codec.texts(calls)}

    @override
    def decode(self, call: Owner, row: Row) -> Sequence[EgressRule]:
        (patterns,) = row
        return tuple(map(EgressRule.parse_ceiling, patterns))

    @override
    def absent(self, call: Owner) -> Sequence[EgressRule]:
        return ()


class PostgresOwnerRules(OwnerRules):
    """Stores rules in `meta.egress_rules`."""

    def __init__(self, gateway: Gateway, statements: EgressRuleStatements, rules_max: int = OWNER_RULES_MAX) -> None:
        self._gateway = gateway
        self._statements = statements
        self._rules_max = rules_max
        self._lookups = Coalescer(gateway, SelectEgressRules(statements.select_egress_rules), LOOKUPS, share=True)

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """All coalescers of this repository, for metrics and to be closed."""
        return (self._lookups,)

    @override
    async def of(self, owner: Owner) -> Sequence[EgressRule]:
        return await self._lookups.submit(owner)

    @override
    async def allow(self, rule: OwnerEgressRule, act: Act) -> bool:
        parameters = {
            "owner": rule.owner,
            "pattern": str(rule.rule),
            "now": rule.created_at,
            "rules_max": self._rules_max,
            **codec.act_columns(act),
        }
        ((is_new, is_full),) = await self._gateway.fetch(self._statements.allow_egress, parameters)
        if is_full:
            raise TooManyOwnerRules(rule.owner, self._rules_max)
        return bool(is_new)

    @override
    async def deny(self, owner: Owner, rule: EgressRule, act: Act) -> bool:
        parameters = {"owner": owner, "pattern": str(rule), **codec.act_columns(act)}
        ((was_there,),) = await self._gateway.fetch(self._statements.deny_egress, parameters)
        return bool(was_there)

    @override
    async def page(self, owner: Owner | None, after: OwnerEgressRule | None, size: int) -> Sequence[OwnerEgressRule]:
        behind = ("", "") if after is None else (after.owner, str(after.rule))
        rows = await self._gateway.fetch(
            self._statements.select_egress_rule_page,
            {"owner": owner, "after_owner": behind[0], "after_pattern": behind[1], "rows_max": size},
        )
        return [
            OwnerEgressRule(Owner(name), EgressRule.parse_ceiling(text), created_at) for name, text, created_at in rows
        ]
