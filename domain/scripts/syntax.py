"""Syntaxes in which a script may be written beside that of its language."""

from enum import StrEnum

from domain.errors import RuntimeUnavailable
from domain.scripts.language import Language


class Syntax(StrEnum):
    """What a script is written in. TYPESCRIPT is JavaScript with types, which are removed when it is loaded."""

    TYPESCRIPT = "typescript"

    def unknown_in(self, language: Language) -> RuntimeUnavailable:
        """Return the error of a runner that knows no such scripts in the language."""
        return RuntimeUnavailable(language, f"this server runs no scripts in {self}. Use a server that does.")
