"""Ports to what limits grants beside the request."""

from typing import Protocol

from domain.grants.grants import Grants
from domain.identity import Owner


class GrantCeiling(Protocol):
    """Knows what an owner may have of one member of grants."""

    async def judge(self, owner: Owner, grants: Grants) -> Grants:
        """Return the grants as the owner gets them, such as with a name that is pinned to a version.

        It looks at its own member alone, and returns the grants themselves without it. Raises an error of the rule that
        they break, StorageUnavailable or Overloaded.
        """
        ...
