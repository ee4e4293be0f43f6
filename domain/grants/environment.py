"""The grant of an environment: packages that the script of a session may import."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

from attrs import frozen

from domain.errors import Problem
from domain.scripts.language import Language


@frozen
class EnvironmentGrant:
    """An environment by its name, as `data` or `data@3`; a session has it with the version.

    `language` is known once the environment was found.
    """

    name: str
    version: int | None = None
    language: Language | None = None

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Return the grant with these facts."""
        language = facts["language"]
        return cls(facts["name"], facts["version"], None if language is None else Language(language))

    def facts(self) -> Mapping[str, Any]:
        """Return the grant as JSON values."""
        language = None if self.language is None else self.language.value
        return {"name": self.name, "version": self.version, "language": language}

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}@{self.version}"

    def problems(self, language: Language) -> Iterator[Problem]:
        """Yield that its packages are for another language."""
        if self.language not in (None, language):
            yield Problem("", f"must be one for {language}: {self} has packages for {self.language}")

    def excess(self, granted: "EnvironmentGrant") -> Iterator[Problem]:
        """Yield that the function grants another environment, or another version of it."""
        if self.name != granted.name or granted.version not in (None, self.version):
            yield Problem("", f"must be {granted}, as the function grants it; omit environment to take it as it is")
