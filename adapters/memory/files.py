"""Files in memory."""

import contextlib
from datetime import datetime
from uuid import UUID

from attrs import define, evolve, field
from typing_extensions import override

from domain.errors import DomainError
from domain.executions.execution import FinishedExecution
from domain.files.file import FileNotFound, StoredFile
from domain.files.ports import COUNTED_MIN, ERASED_MAX, FileRepository, FileStart
from domain.identity import EVERY_OWNER, Owner
from domain.paging import Page


@define(eq=False)
class MemoryFileRepository(FileRepository):
    """Stores files; while `failure` is set, every call raises it."""

    failure: DomainError | None = None
    started: dict[UUID, FileStart] = field(factory=dict, init=False)
    """Incomplete files; one that gets no further chunk is in `ended`."""
    ended: set[UUID] = field(factory=set, init=False)
    completed: dict[UUID, StoredFile] = field(factory=dict, init=False)
    chunks: dict[UUID, dict[int, bytes]] = field(factory=dict, init=False)

    @override
    async def start(self, file: FileStart) -> None:
        self._require_available()
        if file.file_id not in self.completed:
            self.started.setdefault(file.file_id, file)

    @override
    async def add_chunk(self, file_id: UUID, seq: int, content: bytes, now: datetime, expires_at: datetime) -> None:
        self._require_available()
        started = self._open(file_id, now)
        self.started[file_id] = evolve(started, expires_at=expires_at)
        self.chunks.setdefault(file_id, {}).setdefault(seq, content)

    @override
    async def complete(self, file: StoredFile, now: datetime) -> StoredFile:
        self._require_available()
        known = self.completed.get(file.file_id)
        if known is not None and known.sha256 == file.sha256:
            return known
        start = self._open(file.file_id, now)
        del self.started[file.file_id]
        self.completed[file.file_id] = evolve(file, session_id=start.session_id, execution_id=start.execution_id)
        return file

    def complete_outputs(self, finished: FinishedExecution, now: datetime) -> None:
        """Make the files of an execution that counts visible, except those past their deadline."""
        for file in finished.files:
            with contextlib.suppress(FileNotFound):
                self._open(file.file_id, now)
                del self.started[file.file_id]
                self.completed[file.file_id] = file

    def remove_outputs(self, execution_id: UUID) -> None:
        """Remove the files of an execution that is erased."""
        for file in [each for each in self.completed.values() if each.execution_id == execution_id]:
            self._remove(file)

    @override
    async def find(self, owner: Owner, file_id: UUID) -> StoredFile:
        self._require_available()
        file = self.completed.get(file_id)
        if file is None or owner not in {file.owner, EVERY_OWNER}:
            raise FileNotFound
        return file

    @override
    async def chunk(self, file_id: UUID, seq: int, first: int, size: int) -> bytes:
        self._require_available()
        try:
            return self.chunks[file_id][seq][first : first + size]
        except KeyError:
            raise FileNotFound from None

    @override
    async def page(self, owner: Owner, after: UUID | None, size: int, now: datetime) -> Page[StoredFile]:
        self._require_available()
        found = sorted(
            (each for each in self.completed.values() if each.owner == owner and each.expires_at > now),
            key=lambda each: each.file_id,
            reverse=True,
        )
        older = [each for each in found if after is None or each.file_id < after]
        return Page(older[:size], older[size - 1].file_id if len(older) > size else None)

    @override
    async def stored_bytes(self, owner: Owner, now: datetime) -> int:
        self._require_available()
        begun = [each for key, each in self.started.items() if key not in self.ended]
        files: list[StoredFile | FileStart] = [*self.completed.values(), *begun]
        kept = (each for each in files if each.owner == owner and each.expires_at > now)
        return sum(max(each.size, COUNTED_MIN) for each in kept)

    @override
    async def abandon(self, file_id: UUID) -> None:
        self._require_available()
        if file_id in self.started:
            self.ended.add(file_id)

    @override
    async def remove(self, owner: Owner, file_id: UUID, now: datetime) -> None:
        file = await self.find(owner, file_id)
        if file.expires_at <= now:
            raise FileNotFound
        self._remove(file)

    @override
    async def erase(self, now: datetime, file_id: UUID | None = None, chunks_max: int = ERASED_MAX) -> int:
        self._require_available()
        due = [
            key
            for key, each in self.started.items()
            if file_id in {None, key} and (key in self.ended or each.expires_at <= now)
        ]
        for key in due:
            del self.started[key]
            self.ended.discard(key)
            self.chunks.pop(key, None)
        return len(due)

    @override
    async def empty_slots(self, now: datetime) -> int:
        self._require_available()
        days: dict[int, list[UUID]] = {}
        for file_id in (*self.completed, *self.started):
            days.setdefault((file_id.int >> 80) // 86_400_000, []).append(file_id)
        ended = [ids for ids in days.values() if not any(self._is_kept(each, now) for each in ids)]
        for file_id in (each for ids in ended for each in ids):
            for part in (self.completed, self.started, self.chunks):
                part.pop(file_id, None)
            self.ended.discard(file_id)
        return len(ended)

    def _remove(self, file: StoredFile) -> None:
        del self.completed[file.file_id]
        left = file.owner, file.name, file.content_type, file.size, file.expires_at
        self.started[file.file_id] = FileStart(file.file_id, *left)
        self.ended.add(file.file_id)

    def _is_kept(self, file_id: UUID, now: datetime) -> bool:
        file = self.completed.get(file_id) or self.started[file_id]
        return file.expires_at > now and file_id not in self.ended

    def _open(self, file_id: UUID, now: datetime) -> FileStart:
        started = self.started.get(file_id)
        if started is None or file_id in self.ended or started.expires_at <= now:
            raise FileNotFound
        return started

    def _require_available(self) -> None:
        if self.failure is not None:
            raise self.failure
