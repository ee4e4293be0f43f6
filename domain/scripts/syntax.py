"""Syntaxes in which a script may be written beside that of its language."""

from enum import StrEnum


class Syntax(StrEnum):
    """What a script is written in. TYPESCRIPT is JavaScript with types, which are removed when it is loaded."""

    TYPESCRIPT = "typescript"
