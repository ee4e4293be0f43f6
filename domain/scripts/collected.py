"""A file that a script has left, as callers get it."""

from collections.abc import Mapping
from uuid import UUID

from attrs import frozen


@frozen
class CollectedFile:
    """A stored file by its path below /files/out. `sha256` is in hexadecimal."""

    path: str
    file_id: UUID
    size: int
    sha256: str
    content_type: str

    def facts(self) -> Mapping[str, object]:
        """Return the file by its API names, with the id as text."""
        return {
            "path": self.path,
            "file_id": str(self.file_id),
            "bytes": self.size,
            "sha256": self.sha256,
            "content_type": self.content_type,
        }
