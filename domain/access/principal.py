"""Principals: the caller and its scopes."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from attrs import define, field, frozen

from domain.errors import Forbidden
from domain.grants.grants import Grants
from domain.identity import ANONYMOUS, EVERY_OWNER, SHARED, Owner
from domain.scripts.language import Language


class Scope(StrEnum):
    """A permission of a token or an API key."""

    EXECUTE_ALL = "execute:all"
    EXECUTE_NODEJS = "execute:nodejs"
    EXECUTE_PYTHON = "execute:python"
    READ_FUNCTIONS = "read:functions"
    WRITE_FUNCTIONS = "write:functions"
    WRITE_SHARED_FUNCTIONS = "write:shared-functions"
    WRITE_WEBHOOKS = "write:webhooks"
    WRITE_SCHEDULES = "write:schedules"
    WRITE_FILES = "write:files"
    WRITE_SECRETS = "write:secrets"
    USE_SECRETS = "use:secrets"
    ADMIN = "admin"


EXECUTE: Mapping[Language, Scope] = {
    Language.NODEJS: Scope.EXECUTE_NODEJS,
    Language.PYTHON: Scope.EXECUTE_PYTHON,
}
"""The scope for scripts of each language, beside `execute:all`."""

ANY_EXECUTE = frozenset({Scope.EXECUTE_ALL, *EXECUTE.values()})
"""Scopes of which one is required to execute scripts."""

ANY_WRITE = frozenset({Scope.WRITE_FUNCTIONS, Scope.WRITE_SHARED_FUNCTIONS})
"""Scopes of which one is required to change functions."""

ANY_READ = ANY_WRITE | {Scope.READ_FUNCTIONS}
"""Scopes of which one is required to read functions, and so the scripts of sessions that are pinned to them."""


ANY_WEBHOOKS = frozenset({Scope.WRITE_WEBHOOKS, Scope.ADMIN})
"""Scopes of which one is required to read and change webhooks; an admin reaches those of all owners."""


ANY_SECRETS = frozenset({Scope.WRITE_SECRETS, Scope.USE_SECRETS})
"""Scopes of which one is required to read about one's secrets; their values cannot be read."""


@define(eq=False)
class ScopeMissing(Forbidden):
    """The caller's token or key lacks a scope; any one of `needed` suffices, the first is the narrowest."""

    code: ClassVar[str] = "FORBIDDEN"
    needed: tuple[Scope, ...]

    @property
    def message(self) -> str:
        return f"The token or API key lacks a scope for this call. Send one with the scope {' or '.join(self.needed)}."

    @property
    def details(self) -> Mapping[str, object]:
        return {"needed_scopes": [str(scope) for scope in self.needed]}


@define(eq=False)
class FunctionsOfAnother(Forbidden):
    """Only an owner itself may change its functions."""

    code: ClassVar[str] = "FORBIDDEN"
    owner: Owner

    @property
    def message(self) -> str:
        return (
            f"Only {self.owner} may change functions of {self.owner}, so nothing was done. Omit the owner to change a "
            f"function of your own, or send owner={SHARED} with the scope {Scope.WRITE_SHARED_FUNCTIONS}."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {"owner": self.owner}


@frozen
class Principal:
    """A caller: the owner of the objects that it makes, and its scopes.

    `expires_at` is set if the caller's API key ends within EXPIRY_NOTICE.
    """

    owner: Owner
    scopes: frozenset[Scope]
    expires_at: datetime | None = field(default=None, eq=False)

    @property
    def reach(self) -> Owner:
        """The owner whose sessions the caller may read, list and close: EVERY_OWNER for an admin, else its own.

        While authentication is off there is one owner, and no access to others.
        """
        return EVERY_OWNER if Scope.ADMIN in self.scopes and self.owner != ANONYMOUS else self.owner

    def may_list(self, owner: Owner) -> Owner:
        """Return the owner, which may be EVERY_OWNER, if the caller may list its sessions; else raise ScopeMissing.

        While authentication is off, EVERY_OWNER stands for the one owner that there is.
        """
        if self._means_the_only_owner(owner):
            return self.owner
        if owner != self.owner and self.reach != EVERY_OWNER:
            raise ScopeMissing((Scope.ADMIN,))
        return owner

    @property
    def functions_owner(self) -> Owner:
        """The owner of the functions that the caller registers without naming an owner.

        While authentication is off, everybody shares everything, so functions are shared.
        """
        return SHARED if self.owner == ANONYMOUS else self.owner

    def may_read_functions(self, owner: Owner) -> Owner:
        """Return the owner, which may be EVERY_OWNER, if the caller may read its functions; else raise ScopeMissing.

        While authentication is off, EVERY_OWNER stands for SHARED, which has all functions.
        """
        if self._means_the_only_owner(owner):
            return self.functions_owner
        if owner not in {self.owner, SHARED} and self.reach != EVERY_OWNER:
            raise ScopeMissing((Scope.ADMIN,))
        return owner

    def _means_the_only_owner(self, owner: Owner) -> bool:
        return owner == EVERY_OWNER and self.owner == ANONYMOUS and Scope.ADMIN in self.scopes

    def may_write_functions(self, owner: Owner) -> Owner:
        """Return the owner if the caller may change its functions; else raise ScopeMissing or FunctionsOfAnother."""
        if owner not in {self.functions_owner, SHARED}:
            raise FunctionsOfAnother(owner)
        needed = Scope.WRITE_SHARED_FUNCTIONS if owner == SHARED else Scope.WRITE_FUNCTIONS
        self.require_any(frozenset({needed}))
        return owner

    def require_any(self, needed: frozenset[Scope]) -> None:
        """Raise ScopeMissing unless the caller has one of these scopes."""
        if self.scopes.isdisjoint(needed):
            raise ScopeMissing(tuple(sorted(needed)))

    def require_grants(self, grants: Grants | None) -> None:
        """Raise ScopeMissing unless the caller may give a script these grants."""
        if grants is not None and grants.secrets is not None and grants.secrets.names:
            self.require_any(frozenset({Scope.USE_SECRETS}))

    def require_language(self, language: Language) -> None:
        """Raise ScopeMissing unless the caller may run scripts of this language."""
        if Scope.EXECUTE_ALL not in self.scopes and EXECUTE[language] not in self.scopes:
            raise ScopeMissing((EXECUTE[language], Scope.EXECUTE_ALL))


ANYBODY = Principal(ANONYMOUS, frozenset(Scope))
"""Every caller while authentication is off."""

NOBODY = Principal(ANONYMOUS, frozenset())
"""A caller without a credential, on a route that needs none, while authentication is on."""
