"""What holds values against JSON Schemas."""

from typing import Protocol

from domain.errors import Problem
from domain.json_text import JsonText


class Schema(Protocol):
    """A JSON Schema that is ready to check with."""

    def problems(self, value: JsonText) -> tuple[Problem, ...]:
        """Return what in the value does not fit, by JSON pointer into it; no problem means that it fits.

        The number of problems is bounded, and so is the work: a value that is too large for a schema of this weight
        does not fit, and the problem says so.
        """
        ...


class SchemaCompiler(Protocol):
    """Makes JSON Schemas of draft 2020-12 ready; never fetches anything from anywhere."""

    async def compile(self, text: JsonText) -> Schema:
        """Return the schema ready to use; raises SchemaRefused with every reason, by JSON pointer into it."""
        ...
