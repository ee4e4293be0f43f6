"""Files in several buckets."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from attrs import define, field
from typing_extensions import override

from adapters.buckets.counts import LastAnswers
from adapters.buckets.directory import Directory, Storage, of_each
from domain.buckets.pages import merged
from domain.files.file import StoredFile
from domain.files.ports import ERASED_MAX, FileRepository, FileStart
from domain.identity import Owner
from domain.paging import Page


@define(eq=False)
class BucketFiles(FileRepository):
    """A file is in the bucket of its id; an owner has some in each of its buckets.

    `stored_bytes` counts a bucket that is away as at its last answer, so files begin in the buckets that serve.
    """

    _directory: Directory
    _stored: LastAnswers[int] = field(factory=LastAnswers, init=False)

    @override
    async def start(self, file: FileStart) -> None:
        await self._at(file.file_id).start(file)

    @override
    async def add_chunk(self, file_id: UUID, seq: int, content: bytes, now: datetime, expires_at: datetime) -> None:
        await self._at(file_id).add_chunk(file_id, seq, content, now, expires_at)

    @override
    async def complete(self, file: StoredFile, now: datetime) -> StoredFile:
        return await self._at(file.file_id).complete(file, now)

    @override
    async def find(self, owner: Owner, file_id: UUID) -> StoredFile:
        return await self._at(file_id).find(owner, file_id)

    @override
    async def chunk(self, file_id: UUID, seq: int, first: int, size: int) -> bytes:
        return await self._at(file_id).chunk(file_id, seq, first, size)

    @override
    async def page(self, owner: Owner, after: UUID | None, size: int, now: datetime) -> Page[StoredFile]:
        storages = self._directory.listing(owner)
        pages = await of_each(storages, lambda each: each.files.page(owner, after, size, now))
        return merged(pages, size, lambda file: file.file_id)

    @override
    async def stored_bytes(self, owner: Owner, now: datetime) -> int:
        async def count(storage: Storage, owners: Sequence[Owner]) -> Sequence[int]:
            return [await storage.files.stored_bytes(each, now) for each in owners]

        (parts,) = await self._stored.of_owners(self._directory, [owner], 0, count)
        return sum(parts.values())

    @override
    async def abandon(self, file_id: UUID) -> None:
        await self._at(file_id).abandon(file_id)

    @override
    async def remove(self, owner: Owner, file_id: UUID, now: datetime) -> None:
        await self._at(file_id).remove(owner, file_id, now)

    @override
    async def erase(self, now: datetime, file_id: UUID | None = None, chunks_max: int = ERASED_MAX) -> int:
        """Erase in the bucket of the file; without one in all, of which each has a cleanup too."""
        storages = self._directory.all if file_id is None else [self._directory.of(file_id)]
        return sum(await of_each(storages, lambda each: each.files.erase(now, file_id, chunks_max)))

    @override
    async def empty_slots(self, now: datetime) -> int:
        return sum(await of_each(self._directory.all, lambda each: each.files.empty_slots(now)))

    def _at(self, file_id: UUID) -> FileRepository:
        return self._directory.of(file_id).files
