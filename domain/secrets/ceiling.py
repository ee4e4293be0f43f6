"""Which secrets sessions of an owner may name."""

from attrs import frozen

from domain.grants.grants import Grants
from domain.grants.ports import GrantCeiling, Pin
from domain.identity import Owner
from domain.secrets.values import SecretValues


@frozen
class SecretCeiling(GrantCeiling):
    """Judges the names of secrets; each execution judges them again."""

    _values: SecretValues

    async def judge(self, owner: Owner, grants: Grants, pin: Pin | None = None) -> Grants:
        """Raise SecretNotFound, SecretNotAllowed or SecretsUnavailable for the first secret that is not to be had."""
        if grants.secrets is not None:
            await self._values.require(owner, grants.secrets.names, pin)
        return grants
