"""A stored file, and why one cannot be stored or read."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from attrs import define, frozen

from domain.errors import DomainError, Gone, Invalid, NotFound
from domain.identity import Owner, SessionRef

CHUNK_SIZE = 262_144
"""Bytes of each chunk but the last one."""

DEFAULT_TYPE = "application/octet-stream"


@frozen
class NewFile:
    """What a caller wants to store. `size` and `sha256` (hexadecimal) are what it has declared, None if it has not."""

    name: str
    content_type: str = DEFAULT_TYPE
    size: int | None = None
    sha256: str | None = None


@frozen
class StoredFile:
    """A complete file. `sha256` is in hexadecimal. An upload belongs to no session and no execution."""

    file_id: UUID
    owner: Owner
    name: str
    content_type: str
    size: int
    sha256: str
    expires_at: datetime
    session_id: UUID | None = None
    execution_id: UUID | None = None

    def require_kept(self, now: datetime) -> None:
        """Raise FileExpired from `expires_at` on."""
        if now >= self.expires_at:
            raise FileExpired(self.expires_at)


@frozen
class LeftBy:
    """The execution whose script leaves files. What is not complete at `until` is erased."""

    ref: SessionRef
    execution_id: UUID
    until: datetime


@frozen
class Span:
    """Bytes of a file from `first` to `last`, both included, counted from 0."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.last - self.first + 1


@define(eq=False)
class FileNotFound(NotFound):
    """The file does not exist, belongs to another owner, or was removed."""

    code: ClassVar[str] = "FILE_NOT_FOUND"

    @property
    def message(self) -> str:
        return "You have no file with this id. GET /api/v1/files lists your files."


@define(eq=False)
class FileExpired(Gone):
    """The file was kept for its time."""

    code: ClassVar[str] = "FILE_EXPIRED"
    expired_at: datetime

    @property
    def message(self) -> str:
        return (
            f"The file was kept until {self.expired_at.isoformat()}, as FILE_RETENTION_SECONDS says, and has expired. "
            "Upload it again, or execute again."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {"expired_at": self.expired_at}


@define(eq=False)
class DigestMismatch(Invalid):
    """The content is not what the caller has declared."""

    code: ClassVar[str] = "FILE_DIGEST_MISMATCH"
    declared: str
    observed: str

    @property
    def message(self) -> str:
        return (
            f"The body has the SHA-256 {self.observed}, and Content-Digest declares {self.declared}, so nothing was "
            "stored. The body was changed on its way, or the header belongs to another one. Send both again."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {"declared_sha256": self.declared, "sha256": self.observed}


@define(eq=False)
class StorageFull(DomainError):
    """All files together take the space that they may take."""

    code: ClassVar[str] = "STORAGE_FULL"
    allowed: int
    observed: int

    @property
    def message(self) -> str:
        return (
            f"The files of all owners take {self.observed} bytes, and MAX_FILES_GB allows {self.allowed}, so nothing "
            "was stored. Files are removed when they expire; ask the operator for more room."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {"allowed": self.allowed, "observed": self.observed}
