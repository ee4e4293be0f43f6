"""Principals: the caller and its scopes."""

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar

from attrs import define, frozen

from domain.errors import Forbidden
from domain.identity import ANONYMOUS, EVERY_OWNER, Owner
from domain.scripts.language import Language


class Scope(StrEnum):
    """A permission of a token or an API key."""

    EXECUTE_ALL = "execute:all"
    EXECUTE_NODEJS = "execute:nodejs"
    EXECUTE_PYTHON = "execute:python"
    READ_FUNCTIONS = "read:functions"
    WRITE_FUNCTIONS = "write:functions"
    ADMIN = "admin"


EXECUTE: Mapping[Language, Scope] = {
    Language.NODEJS: Scope.EXECUTE_NODEJS,
    Language.PYTHON: Scope.EXECUTE_PYTHON,
}
"""The scope for scripts of each language, beside `execute:all`."""

ANY_EXECUTE = frozenset({Scope.EXECUTE_ALL, *EXECUTE.values()})
"""Scopes of which one is required to execute scripts."""


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


@frozen
class Principal:
    """A caller: the owner of the objects that it makes, and its scopes."""

    owner: Owner
    scopes: frozenset[Scope]

    @property
    def reach(self) -> Owner:
        """The owner whose sessions the caller may read, list and close: EVERY_OWNER for an admin, else its own.

        While authentication is off there is one owner, and no access to others.
        """
        return EVERY_OWNER if Scope.ADMIN in self.scopes and self.owner != ANONYMOUS else self.owner

    def may_list(self, owner: Owner) -> Owner:
        """Return the owner, which may be EVERY_OWNER, if the caller may list its sessions; else raise ScopeMissing."""
        if owner != self.owner and self.reach != EVERY_OWNER:
            raise ScopeMissing((Scope.ADMIN,))
        return owner

    def require_any(self, needed: frozenset[Scope]) -> None:
        """Raise ScopeMissing unless the caller has one of these scopes."""
        if self.scopes.isdisjoint(needed):
            raise ScopeMissing(tuple(sorted(needed)))

    def require_language(self, language: Language) -> None:
        """Raise ScopeMissing unless the caller may run scripts of this language."""
        if Scope.EXECUTE_ALL not in self.scopes and EXECUTE[language] not in self.scopes:
            raise ScopeMissing((EXECUTE[language], Scope.EXECUTE_ALL))


ANYBODY = Principal(ANONYMOUS, frozenset(Scope))
"""Every caller while authentication is off."""

NOBODY = Principal(ANONYMOUS, frozenset())
"""A caller without a credential, on a route that needs none, while authentication is on."""
