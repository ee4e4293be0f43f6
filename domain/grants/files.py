"""The grant of files: a folder in which the script of a session finds files, and leaves some."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

from attrs import frozen

from domain.errors import Problem
from domain.scripts.language import Language

_OMIT = "omit files to take them as they are"


@frozen
class FilesGrant:
    """The MiB that all files of an execution may take together; a session has it with the size.

    Without a size a caller asks for that of the server.
    """

    size_mb: int | None = None

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Return the grant with these facts."""
        return cls(facts["size_mb"])

    def facts(self) -> Mapping[str, Any]:
        """Return the grant as JSON values."""
        return {"size_mb": self.size_mb}

    def problems(self, _language: Language) -> Iterator[Problem]:
        """Yield that there is no room for a file."""
        if self.size_mb is not None and self.size_mb < 1:
            yield Problem("/size_mb", "must be at least 1")

    def excess(self, granted: "FilesGrant") -> Iterator[Problem]:
        """Yield that the function grants less, or that it grants what the server says."""
        if granted.size_mb is None:
            if self.size_mb is not None:
                yield Problem("/size_mb", f"must be absent: the function has the size of the server; {_OMIT}")
        elif self.size_mb is None or self.size_mb > granted.size_mb:
            yield Problem("/size_mb", f"must be at most {granted.size_mb}, as the function grants; {_OMIT}")
