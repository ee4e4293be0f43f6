"""The grant of a syntax: what the script of a session is written in beside its language."""

from collections.abc import Iterator
from typing import Self

from attrs import frozen

from domain.errors import Problem
from domain.scripts.language import Language
from domain.scripts.syntax import Syntax


@frozen
class SyntaxGrant:
    """A syntax that a caller has asked for, or that the check of the script has found."""

    syntax: Syntax

    @classmethod
    def of(cls, facts: str) -> Self:
        """Return the grant of this name."""
        return cls(Syntax(facts))

    def facts(self) -> str:
        """Return the name of the syntax."""
        return self.syntax.value

    def problems(self, language: Language) -> Iterator[Problem]:
        """Yield why no script in this language has the syntax."""
        if language is not Language.NODEJS:
            yield Problem("", f"must be absent: scripts in {language} have one syntax")

    def excess(self, granted: "SyntaxGrant") -> Iterator[Problem]:
        """Yield that the script of the function is written in another syntax."""
        if self.syntax.asked is not granted.syntax.asked:
            yield Problem("", "must be absent: the script of the function is not written in it")
