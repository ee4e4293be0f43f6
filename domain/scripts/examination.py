"""What the text of a script says about calling conventions, without running it."""

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from domain.scripts.language import Language


@frozen
class ScriptFinding:
    """A construct of a script that behaves differently in the origin, or under another calling convention.

    `code` is one of the codes in docs/conventions.md, `line` is 1-based, and `text` is what stands there, or its name.
    """

    code: str
    line: int
    text: str


class ScriptExaminer(Protocol):
    """Examines untrusted scripts of some languages, without running them."""

    async def examine(self, language: Language, sources: Sequence[str]) -> Sequence[Sequence[ScriptFinding] | None]:
        """Return the findings of each script, in the order of the scripts; at most 50 of each, by line.

        A script that does not parse has none. None stands for a script that is too large or too deep to examine. A
        finding is a hint: a text does not show what a script does. Calls follow one another: one that begins while
        another is in progress may never end. Raises RuntimeUnavailable.
        """
        ...
