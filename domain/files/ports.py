"""The port to stored files."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from attrs import frozen

from domain.files.file import StoredFile
from domain.identity import Owner
from domain.paging import Page


@frozen
class FileStart:
    """A file that is about to be stored. `size` is reserved for it, the next chunk must come before `expires_at`."""

    file_id: UUID
    owner: Owner
    name: str
    content_type: str
    size: int
    expires_at: datetime
    session_id: UUID | None = None
    execution_id: UUID | None = None


ERASED_MAX = 64
"""Chunks that one call erases, of 16 MiB."""


class FileRepository(Protocol):
    """Stores files in chunks. A file is seen from its completion on.

    Its id is of the day on which it was started. EVERY_OWNER stands for all owners in `find` and `remove`. Every method
    may raise StorageUnavailable or Overloaded, and may be repeated.
    """

    async def start(self, file: FileStart) -> None:
        """Store an incomplete file, which counts in `stored_bytes` until its `expires_at`."""
        ...

    async def add_chunk(self, file_id: UUID, seq: int, content: bytes, now: datetime, expires_at: datetime) -> None:
        """Store the chunk `seq`, counted from 0, and move `expires_at` of the file.

        Raises FileNotFound if the file is complete, was removed, or has expired.
        """
        ...

    async def complete(self, file: StoredFile, now: datetime) -> StoredFile:
        """Make a file visible with this size, digest and expiry, and return it; raises as `add_chunk`.

        A file that is complete with this digest stays as it is, with the expiry that it has.
        """
        ...

    async def find(self, owner: Owner, file_id: UUID) -> StoredFile:
        """Return a complete file, for a while also one that has expired; raises FileNotFound."""
        ...

    async def chunk(self, file_id: UUID, seq: int, first: int, size: int) -> bytes:
        """Return `size` bytes of a chunk from `first` on, counted from 0, or up to its end.

        Raises FileNotFound if there is no such chunk: the file has been removed meanwhile.
        """
        ...

    async def page(self, owner: Owner, after: UUID | None, size: int, now: datetime) -> Page[StoredFile]:
        """Return at most `size` complete files that are kept at `now`, newest first, older than `after`."""
        ...

    async def stored_bytes(self, owner: Owner, now: datetime) -> int:
        """Return the bytes of the owner's files that are kept, and those reserved; each counts at least COUNTED_MIN."""
        ...

    async def abandon(self, file_id: UUID) -> None:
        """Let an incomplete file get no further chunk, and never be complete. A complete one stays as it is."""
        ...

    async def remove(self, owner: Owner, file_id: UUID, now: datetime) -> None:
        """Hide a file for ever; raises FileNotFound. Its content is erased by `erase`."""
        ...

    async def erase(self, now: datetime, file_id: UUID | None = None, chunks_max: int = ERASED_MAX) -> int:
        """Erase what was removed or left incomplete, or this file alone, of at most so many chunks.

        Returns how many chunks and files were erased. 0 says that nothing is left but what another call erases at the
        moment.
        """
        ...

    async def empty_slots(self, now: datetime) -> int:
        """Give back the space of days without a file that is kept; return how many."""
        ...


COUNTED_MIN = 65_536
"""Bytes that a file counts at least in the quota of its owner, which so limits the number of files too."""
