"""JSON Schemas of functions, and the errors about them."""

from collections.abc import Mapping
from typing import ClassVar

from attrs import define, field, frozen

from domain.errors import InvalidRequest, NotFound, Problem, Unavailable
from domain.json_text import JsonText
from domain.scripts.language import LanguageTitle


@define(eq=False)
class PinnedVersionNotFound(NotFound):
    """A session is pinned to a version that is no longer stored, so its params cannot be checked."""

    code: ClassVar[str] = "FUNCTION_NOT_FOUND"
    language_title: LanguageTitle
    version: int

    @property
    def message(self) -> str:
        return (
            f"The session is pinned to version {self.version} of {self.language_title}, which is no longer stored, so "
            "its params cannot be checked. Nothing ran. Initialize a new session."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {"language_title": str(self.language_title), "version": self.version, "executed": "no"}


@define(eq=False)
class ParamsRefused(InvalidRequest):
    """The params do not fit the schema of the function that the session is pinned to; nothing ran."""

    code: ClassVar[str] = "INVALID_PARAMS"
    language_title: LanguageTitle
    version: int

    @property
    def message(self) -> str:
        function = f"{self.language_title}, version {self.version}"
        return (
            f"The params do not fit the schema of {function}. Nothing ran. Correct them and send them again. "
            f"{in_one_line(self.problems)}"
        )

    @property
    def details(self) -> Mapping[str, object]:
        facts = {"language_title": str(self.language_title), "version": self.version, "executed": "no"}
        return {**super().details, **facts}


@define(eq=False)
class SchemaRefused(InvalidRequest):
    """A JSON Schema is invalid, or uses a keyword that is not supported."""

    @property
    def in_one_line(self) -> str:
        """All problems in one line."""
        return in_one_line(self.problems)


@define(eq=False)
class SchemaUnusable(Unavailable):
    """A session is pinned to a schema that this release no longer accepts; nothing ran."""

    code: ClassVar[str] = "RUNTIME_UNAVAILABLE"
    language_title: LanguageTitle
    version: int
    reason: str
    stored: str | None = "no"
    executed: str | None = "no"

    @property
    def message(self) -> str:
        return (
            f"The schema of {self.language_title}, version {self.version}, cannot be used: {self.reason}. Nothing ran. "
            "Register the function with another schema, and initialize a new session."
        )


@frozen
class FunctionSchema:
    """JSON Schemas (draft 2020-12) of params and result; None fits every value."""

    params: JsonText | None = field(default=None, repr=False)
    result: JsonText | None = field(default=None, repr=False)


def in_one_line(problems: tuple[Problem, ...]) -> str:
    """Return all problems in one line."""
    return "; ".join(f"{problem.pointer or '/'}: {problem.message}" for problem in problems)


def within(problems: tuple[Problem, ...], pointer: str) -> tuple[Problem, ...]:
    """Return the problems of a part as problems of the whole, in which `pointer` leads to the part."""
    return tuple(Problem(pointer + problem.pointer, problem.message) for problem in problems)
