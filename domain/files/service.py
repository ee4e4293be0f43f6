"""The use cases of files: upload, read, list and remove."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import datetime
from mimetypes import MimeTypes
from uuid import UUID

from attrs import define, field

from domain.clock import Clock, IdGenerator
from domain.concurrency.background_tasks import BackgroundTasks
from domain.concurrency.budget import Budget
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.concurrency.fair_turns import FairTurns
from domain.errors import StorageUnavailable, Unavailable
from domain.files.file import (
    CHUNK_SIZE,
    DEFAULT_TYPE,
    DigestMismatch,
    FileNotFound,
    LeftBy,
    NewFile,
    Span,
    StorageFull,
    StoredFile,
)
from domain.files.limits import FileLimits
from domain.files.ports import FileRepository, FileStart
from domain.files.room import FileRoom, Measured
from domain.identity import Owner
from domain.paging import Page

_TYPES = MimeTypes()
"""By the ends of names, as Python knows them on every host."""


@define(eq=False)
class FileStats:
    """Bytes of content that were received and sent, files that were stored, and uploads that ended without one.

    `full` counts uploads that were refused because all files together took their room. `given_bytes` and `left_bytes`
    count what went into executions and what came out of them, `left` the files that their scripts left, and `lost`
    executions whose files could not be stored.
    """

    received_bytes: int = 0
    sent_bytes: int = 0
    stored: int = 0
    abandoned: int = 0
    full: int = 0
    given_bytes: int = 0
    left_bytes: int = 0
    left: int = 0
    lost: int = 0


@define(eq=False, kw_only=True)
class FileService:
    """Stores and reads files chunk by chunk.

    `transfers` bounds uploads and downloads, and `turns` the statements with chunks, so that other statements find
    connections. Every method may raise StorageUnavailable or Overloaded.
    """

    _clock: Clock
    _ids: IdGenerator
    _files: FileRepository
    _limits: FileLimits
    _room: FileRoom
    _transfers: CapacityLimiter
    _turns: FairTurns
    _tasks: BackgroundTasks
    stats: FileStats = field(factory=FileStats, init=False)

    async def upload(self, owner: Owner, new: NewFile, chunks: AsyncIterator[bytes]) -> StoredFile:
        """Store a file of these chunks, each of CHUNK_SIZE bytes but the last, and return it.

        Without a declared size, the largest one is reserved. What was stored of a file that is not completed is erased.
        Raises FieldTooLarge, QuotaReached, StorageFull, DigestMismatch, what `chunks` raises, and FileNotFound if the
        owner was purged meanwhile.
        """
        with self._transfers.hold(owner):
            size = self._limits.size_max if new.size is None else new.size
            self._limits.require_size(size)
            measured_at, kept = self._take_room(size), 0
            started = self._started(owner, new, size)
            try:
                file = await self._stored(started, new, chunks)
            except BaseException:
                self.stats.abandoned += 1
                self._tasks.spawn(self._abandon(started.file_id))
                raise
            else:
                kept = file.size
                return file
            finally:
                self._room.give_back(size - kept, measured_at)

    async def keep(self, by: LeftBy, name: str, size: int, pieces: AsyncIterator[bytes], budget: Budget) -> StoredFile:
        """Store all chunks of a file that a script has left, and return it as the end of its execution completes it.

        Raises what `upload` raises, and StorageUnavailable when the budget is spent. What was stored is erased if this
        raises, or if the file is not completed in time.
        """
        declared, size = size, 0
        self._limits.require_size(declared)
        measured_at = self._take_room(declared)
        started = self._left(by, name, declared)
        try:
            await budget.spend(self._begin(started), StorageUnavailable)
            size, digest = await self._received(started, pieces, budget)
        except BaseException:
            self._tasks.spawn(self._abandon(started.file_id))
            raise
        finally:
            self._room.give_back(declared - size, measured_at)
        self.stats.left += 1
        self.stats.left_bytes += size
        until = self._clock.now() + self._limits.retention
        named = started.file_id, started.owner, started.name, started.content_type
        return StoredFile(*named, size, digest, until, by.ref.session_id, by.execution_id)

    def discard(self, files: Iterable[StoredFile]) -> None:
        """Erase in the background what was kept and is not to be completed."""
        for each in files:
            self._tasks.spawn(self._abandon(each.file_id))

    async def get(self, owner: Owner, file_id: UUID) -> StoredFile:
        """Return a file; raises FileNotFound and FileExpired."""
        file = await self._files.find(owner, file_id)
        file.require_kept(self._clock.now())
        return file

    async def page(self, owner: Owner, after: UUID | None, size: int) -> Page[StoredFile]:
        """Return a page of the owner's files, newest first."""
        return await self._files.page(owner, after, size, self._clock.now())

    async def remove(self, owner: Owner, file_id: UUID) -> None:
        """Remove a file; raises FileNotFound. Its content is erased in the background."""
        now = self._clock.now()
        await self._files.remove(owner, file_id, now)
        self._tasks.spawn(self._erase(file_id))

    async def content(self, caller: Owner, file: StoredFile, span: Span) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of a span, at most CHUNK_SIZE at once; raises FileNotFound if it is removed meanwhile."""
        with self._transfers.hold(caller):
            async with aclosing(self.pieces(caller, file, span)) as pieces:
                async for piece in pieces:
                    yield piece
                    self.stats.sent_bytes += len(piece)

    async def pieces(self, caller: Owner, file: StoredFile, span: Span) -> AsyncGenerator[bytes, None]:
        """Yield as `content` does, for an execution: it counts as no transfer, because executions have a limit."""
        position = span.first
        while position <= span.last:
            seq, first = divmod(position, CHUNK_SIZE)
            size = min(CHUNK_SIZE - first, span.last - position + 1)
            async with self._turn(caller):
                piece = await self._files.chunk(file.file_id, seq, first, size)
            if len(piece) != size:
                raise FileNotFound
            yield piece
            position += size

    @property
    def stored(self) -> Measured:
        """What the files of all owners take."""
        return self._room.stored()

    @property
    def size_max(self) -> int:
        """The bytes that the files of all owners may take."""
        return self._limits.bytes_max

    @property
    def transfers(self) -> int:
        """How many uploads and downloads are in progress."""
        return self._transfers.in_use

    def _take_room(self, size: int) -> datetime | None:
        try:
            return self._room.take(size)
        except StorageFull:
            self.stats.full += 1
            raise

    def _started(self, owner: Owner, new: NewFile, size: int) -> FileStart:
        now = self._clock.now()
        file_id = self._ids.new_placed(now, owner)
        return FileStart(file_id, owner, new.name, new.content_type, size, now + self._limits.pause_max)

    def _left(self, by: LeftBy, name: str, size: int) -> FileStart:
        file_id = self._ids.new(self._clock.now(), by.ref.session_id)
        content_type = _TYPES.guess_type(name)[0] or DEFAULT_TYPE
        return FileStart(file_id, by.ref.owner, name, content_type, size, by.until, by.ref.session_id, by.execution_id)

    async def _stored(self, started: FileStart, new: NewFile, chunks: AsyncIterator[bytes]) -> StoredFile:
        await self._begin(started)
        size, digest = await self._received(started, self._counted(chunks))
        if new.sha256 not in (None, digest):
            raise DigestMismatch(new.sha256 or "", digest)
        now = self._clock.now()
        file = StoredFile(
            started.file_id, started.owner, new.name, new.content_type, size, digest, now + self._limits.retention
        )
        stored = await self._files.complete(file, now)
        self.stats.stored += 1
        return stored

    async def _counted(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            yield chunk
            self.stats.received_bytes += len(chunk)

    async def _begin(self, started: FileStart) -> None:
        # Its own bytes are among those that are counted, so files that begin at once never exceed the quota.
        await self._files.start(started)
        self._limits.require_quota(await self._files.stored_bytes(started.owner, self._clock.now()))

    async def _received(
        self, started: FileStart, chunks: AsyncIterator[bytes], budget: Budget | None = None
    ) -> tuple[int, str]:
        size, seq, digest = 0, 0, hashlib.sha256()
        async for chunk in chunks:
            size += len(chunk)
            self._limits.require_size(size)
            digest.update(chunk)
            adding = self._add(started, seq, chunk)
            await (adding if budget is None else budget.spend(adding, StorageUnavailable))
            seq += 1
        return size, digest.hexdigest()

    async def _add(self, started: FileStart, seq: int, chunk: bytes) -> None:
        async with self._turn(started.owner):
            now = self._clock.now()
            until = max(started.expires_at, now + self._limits.pause_max)
            await self._files.add_chunk(started.file_id, seq, chunk, now, until)

    @asynccontextmanager
    async def _turn(self, owner: Owner) -> AsyncIterator[None]:
        await self._turns.acquire(owner, CHUNK_SIZE)
        try:
            yield
        finally:
            self._turns.release(owner)

    async def _abandon(self, file_id: UUID) -> None:
        """Erase what was stored of a file; if the database is away, cleanup does it after `pause_max`."""
        with suppress(Unavailable):
            await self._files.abandon(file_id)
            await self._erase(file_id)

    async def _erase(self, file_id: UUID) -> None:
        with suppress(Unavailable):
            while await self._files.erase(self._clock.now(), file_id):
                pass
