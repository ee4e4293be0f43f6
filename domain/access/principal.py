"""Who is calling, and what they may do."""

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar

from attrs import define, frozen

from domain.errors import Forbidden
from domain.identity import ANONYMOUS, EVERY_OWNER, Owner
from domain.scripts.language import Language


class Scope(StrEnum):
    """What a token or a key allows."""

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
"""What allows to run scripts of each language, beside `execute:all`."""

ANY_EXECUTE = frozenset({Scope.EXECUTE_ALL, *EXECUTE.values()})
"""Scopes of which one is needed to run anything at all."""


@define(eq=False)
class ScopeMissing(Forbidden):
    """The caller is known, and their token or key lacks the scope; any one of `needed` would do, the first at best."""

    code: ClassVar[str] = "FORBIDDEN"
    needed: tuple[Scope, ...]

    @property
    def message(self) -> str:
        return f"This call needs a token or key with the scope {' or '.join(self.needed)}."

    @property
    def details(self) -> Mapping[str, object]:
        return {"needed_scopes": [str(scope) for scope in self.needed]}


@frozen
class Principal:
    """A caller: the owner of what they make, and their scopes."""

    owner: Owner
    scopes: frozenset[Scope]

    @property
    def reach(self) -> Owner:
        """Whose sessions the caller may read, list and close: an admin everybody's, others their own.

        While authentication is off there is one owner, and nobody reaches what belongs to others.
        """
        return EVERY_OWNER if Scope.ADMIN in self.scopes and self.owner != ANONYMOUS else self.owner

    def may_list(self, owner: Owner) -> Owner:
        """Return the owner again, EVERY_OWNER included, if the caller may list their sessions; raises ScopeMissing."""
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
"""A caller who has shown no credential where none is needed, while authentication is on."""
