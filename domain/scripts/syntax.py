"""Syntaxes in which a script may be written beside that of its language."""

from enum import StrEnum

from domain.errors import RuntimeUnavailable
from domain.scripts.language import Language


class Syntax(StrEnum):
    """What a script is written in.

    TYPESCRIPT is JavaScript with types, which are removed when it is loaded. A MODULE is an ES module.
    """

    TYPESCRIPT = "typescript"
    MODULE = "module"
    TYPESCRIPT_MODULE = "typescript-module"

    @property
    def asked(self) -> "Syntax | None":
        """What a caller asks for; None for a module in JavaScript, which only the check finds."""
        return None if self is Syntax.MODULE else Syntax.TYPESCRIPT

    @classmethod
    def of_module(cls, asked: "Syntax | None") -> "Syntax":
        """Return the syntax of a module for which a caller asks for this one."""
        return cls.MODULE if asked is None else cls.TYPESCRIPT_MODULE

    def unknown_in(self, language: Language) -> RuntimeUnavailable:
        """Return the error of a runner that knows no such scripts in the language."""
        return RuntimeUnavailable(language, f"this server runs no scripts in {self}. Use a server that does.")


def require_known(syntax: Syntax | None, language: Language) -> None:
    """Raise RuntimeUnavailable if no scripts in the language are written in this syntax."""
    if syntax is not None and language is not Language.NODEJS:
        raise syntax.unknown_in(language)
