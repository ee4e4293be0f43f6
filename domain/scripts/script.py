"""Scripts: source, size and hash."""

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar

from attrs import define, field, frozen

from domain.errors import FieldTooLarge, Invalid


@frozen
class Script:
    """Source text, and the SHA-256 of its UTF-8 bytes as 64 hexadecimal digits."""

    source: str = field(repr=False)
    hash: str

    @classmethod
    def of(cls, source: str, size_max: int) -> "Script":
        """Return the script of this source; raises FieldTooLarge above `size_max` bytes of UTF-8."""
        encoded = source.encode()
        if len(encoded) > size_max:
            raise FieldTooLarge("/script_content", size_max, len(encoded))
        return cls(source, hashlib.sha256(encoded).hexdigest())


class InputForm(StrEnum):
    """How a script takes its input, as far as that tells which calling convention it was written for.

    EVENT_IN_CONTEXT is a handler with the one parameter `context` that reads "params" in it. A context has no params,
    but the event has. A MODULE is an ES module, which runs in a syntax of its own. PLAIN is every other form.
    """

    PLAIN = "plain"
    EVENT_IN_CONTEXT = "event-in-context"
    MODULE = "module"


@frozen
class SyntaxFault:
    """A syntax error of a script: 1-based line and column in the caller's text, if known.

    If it `is_of_modules`, the script may be an ES module, in which the same text is valid.
    """

    message: str
    line: int | None = None
    column: int | None = None
    is_of_modules: bool = field(default=False, eq=False)


@define(eq=False)
class ScriptSyntaxError(Invalid):
    """The script has a syntax error; nothing was stored."""

    code: ClassVar[str] = "SCRIPT_SYNTAX_ERROR"
    fault: SyntaxFault

    @property
    def message(self) -> str:
        where = f" (line {self.fault.line}, column {self.fault.column})" if self.fault.line else ""
        return f"The script has a syntax error: {self.fault.message}{where}. Correct it and send it again."

    @property
    def details(self) -> Mapping[str, object]:
        return {
            "reason": self.fault.message,
            "line": self.fault.line,
            "column": self.fault.column,
        }
