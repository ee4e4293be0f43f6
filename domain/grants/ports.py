"""Ports to what limits grants beside the request."""

from typing import Protocol
from uuid import UUID

from attrs import frozen

from domain.grants.grants import Grants
from domain.identity import Owner


@frozen
class Pin:
    """The version of a function that a session is pinned to."""

    function_id: UUID
    version: int


class GrantCeiling(Protocol):
    """Knows what an owner may have of one member of grants."""

    async def judge(self, owner: Owner, grants: Grants, pin: Pin | None = None) -> Grants:
        """Return the grants as the owner gets them, such as with a name that is pinned to a version.

        `pin` is the function of the session, None of one with a script of its own.

        It looks at its own member alone, and returns the grants themselves without it. Raises an error of the rule that
        they break, StorageUnavailable or Overloaded.
        """
        ...
