"""What owners may reach: an operator allows it, and each execution is judged again."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from attrs import define, evolve, field, frozen

from domain.egress.endpoints import NamedEndpoint, ServiceEndpoints
from domain.egress.known_rules import KnownOwnerRules
from domain.egress.rule import EgressRule, is_covered
from domain.environments.catalog import EnvironmentCatalog
from domain.errors import Forbidden
from domain.grants.environment import EnvironmentGrant
from domain.grants.grants import Grants
from domain.grants.ports import GrantCeiling, Pin
from domain.identity import Owner


@define(eq=False)
class EgressNotAllowed(Forbidden):
    """The script of a session would reach a host that its owner may not reach. Nothing ran."""

    code: ClassVar[str] = "EGRESS_NOT_ALLOWED"
    owner: Owner
    rule: str
    at: int

    @property
    def message(self) -> str:
        return (
            f"/network/allow/{self.at}: scripts of {self.owner} may not reach {self.rule}, so nothing was done. Remove "
            "the rule, or have the operator add it to EGRESS_RULES, or allow it to this owner (pglambda egress allow)."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {"rule": self.rule, "owner": str(self.owner)}


@frozen
class EnvironmentCeiling(GrantCeiling):
    """Pins the environments of sessions to the version that is newest now."""

    _catalog: EnvironmentCatalog

    async def judge(self, owner: Owner, grants: Grants, _pin: Pin | None = None) -> Grants:
        asked = grants.environment
        if asked is None:
            return grants
        version = await self._catalog.choose(owner, asked.name, asked.version)
        return evolve(grants, environment=EnvironmentGrant(version.name, version.version, version.language))


@frozen
class EgressCeilings(GrantCeiling):
    """Judges the rules of sessions for their present owners."""

    everybody: Sequence[EgressRule] = ()
    """What scripts of every owner may reach."""
    owners: KnownOwnerRules | None = None
    """What scripts of single owners may reach as well; None with EGRESS other than `owners`."""
    endpoints: ServiceEndpoints = field(factory=ServiceEndpoints)
    """What no script reaches, whatever its rules are."""

    async def judge(self, owner: Owner, grants: Grants, _pin: Pin | None = None) -> Grants:
        if grants.network is not None:
            await self.require(owner, grants.network.allow)
        return grants

    def guarded(self, rules: Sequence[EgressRule]) -> tuple[NamedEndpoint, ...]:
        """Return what belongs to the service at the ports of these rules."""
        return self.endpoints.at({rule.port for rule in rules}) if rules else ()

    async def require(self, owner: Owner, rules: Sequence[EgressRule]) -> None:
        """Raise EgressNotAllowed for the first rule that the owner may not have.

        It may raise StorageUnavailable or Overloaded, if rules of single owners count.
        """
        beyond: Sequence[EgressRule] = [rule for rule in rules if not is_covered(rule, self.everybody)]
        if beyond and self.owners is not None:
            beyond = await self.owners.uncovered(owner, beyond)
        if beyond:
            raise EgressNotAllowed(owner, str(beyond[0]), rules.index(beyond[0]))
