"""The contract of FileRepository."""

import asyncio
import hashlib
import json
from abc import ABC, abstractmethod
from datetime import timedelta
from uuid import UUID

import pytest
from attrs import evolve

from domain.audit import ActName
from domain.executions.execution import ExecutionLost, OpenExecution
from domain.files.file import CHUNK_SIZE, FileNotFound, StoredFile
from domain.files.ports import COUNTED_MIN, FileStart
from domain.identity import EVERY_OWNER, Owner
from domain.json_text import JsonText
from tests.contracts.keyed_call_repository import KEY
from tests.contracts.storage import ALICE, BOB, Storage
from tests.support.acts import act

PAUSE = timedelta(minutes=2)
DAY = timedelta(days=1)
CONTENT = b"\0\xff'\\ \xc3\xa4" * (CHUNK_SIZE // 4)
"""More than one chunk."""


async def started_file(storage: Storage, owner: Owner, size: int = 100) -> FileStart:
    """Begin to store a file."""
    now = storage.clock.now()
    file = FileStart(storage.ids.new_placed(now, owner), owner, "a.csv", "text/csv", size, now + PAUSE)
    await storage.files.start(file)
    return file


async def stored_file(storage: Storage, owner: Owner, content: bytes) -> StoredFile:
    """Store a file of one chunk."""
    started, now = await started_file(storage, owner, len(content)), storage.clock.now()
    await storage.files.add_chunk(started.file_id, 0, content, now, now + PAUSE)
    digest = hashlib.sha256(content).hexdigest()
    file = StoredFile(started.file_id, owner, "a.csv", "text/csv", len(content), digest, now + DAY)
    return await storage.files.complete(file, now)


class FileRepositoryContract(ABC):
    """Subclasses have the fixture `storage`, with `files`."""

    @pytest.fixture
    @abstractmethod
    def storage(self) -> Storage: ...

    async def started(
        self, storage: Storage, owner: Owner = ALICE, size: int = 100, like: UUID | None = None
    ) -> FileStart:
        now = storage.clock.now()
        file_id = storage.ids.new_placed(now, owner) if like is None else storage.ids.new(now, like)
        file = FileStart(file_id, owner, "a 'ä\".csv", "text/csv; charset=utf-8", size, now + PAUSE)
        await storage.files.start(file)
        return file

    async def filled(self, storage: Storage, started: FileStart, content: bytes = CONTENT) -> StoredFile:
        now = storage.clock.now()
        for seq in range(-(-len(content) // CHUNK_SIZE)):
            chunk = content[seq * CHUNK_SIZE : (seq + 1) * CHUNK_SIZE]
            await storage.files.add_chunk(started.file_id, seq, chunk, now, now + PAUSE)
        digest = hashlib.sha256(content).hexdigest()
        named = started.file_id, started.owner, started.name, started.content_type
        return StoredFile(*named, len(content), digest, now + DAY, started.session_id, started.execution_id)

    async def stored(self, storage: Storage, owner: Owner = ALICE, content: bytes = CONTENT) -> StoredFile:
        file = await self.filled(storage, await self.started(storage, owner, len(content)), content)
        return await storage.files.complete(file, storage.clock.now())

    async def content(self, storage: Storage, file_id: UUID, chunks: int) -> bytes:
        return b"".join([await storage.files.chunk(file_id, seq, 0, CHUNK_SIZE) for seq in range(chunks)])

    async def erase_all(self, storage: Storage) -> None:
        for _ in range(1000):
            if not await storage.files.erase(storage.clock.now()):
                return
        raise AssertionError("there is always more to erase")

    async def test_a_file_is_found_with_all_its_facts_and_bytes(self, storage: Storage) -> None:
        file = await self.stored(storage)
        assert await storage.files.find(ALICE, file.file_id) == file
        assert await storage.files.find(EVERY_OWNER, file.file_id) == file
        assert await self.content(storage, file.file_id, 2) == CONTENT

    async def test_a_file_of_an_execution_says_which_one(self, storage: Storage) -> None:
        now = storage.clock.now()
        session_id, file_id = storage.ids.new_placed(now, ALICE), storage.ids.new_placed(now, ALICE)
        execution_id = storage.ids.new(now, session_id)
        start = FileStart(file_id, ALICE, "out.png", "image/png", 1, now + PAUSE, session_id, execution_id)
        await storage.files.start(start)
        file = await self.filled(storage, start, b"x")
        await storage.files.complete(file, now)
        found = await storage.files.find(ALICE, file_id)
        assert (found.session_id, found.execution_id) == (session_id, execution_id)

    async def left(self, storage: Storage, execution: OpenExecution) -> StoredFile:
        """Store a file that an execution has written, except for its completion."""
        now, ref = storage.clock.now(), execution.ref
        file_id, until = storage.ids.new(now, ref.session_id), execution.deadline_at + PAUSE
        named = file_id, ref.owner, "out.png", "image/png"
        await storage.files.start(FileStart(*named, 7, until, ref.session_id, execution.execution_id))
        await storage.files.add_chunk(file_id, 0, b"content", now, until)
        digest = hashlib.sha256(b"content").hexdigest()
        return StoredFile(*named, 7, digest, now + DAY, ref.session_id, execution.execution_id)

    async def test_files_of_an_execution_are_seen_if_and_only_if_it_counts(self, storage: Storage) -> None:
        ref, other = (await storage.add(ALICE)).ref, (await storage.add(ALICE)).ref
        counted, withdrawn = await storage.begin(ref), await storage.begin(other)
        files = [await self.left(storage, each) for each in (counted, counted, withdrawn)]
        await storage.executions.withdraw(withdrawn.execution_id, other)
        assert (await storage.files.page(ALICE, None, 10, storage.clock.now())).items == []
        ends = [
            evolve(storage.finished(counted), files=tuple(files[:2]), uses=JsonText("{}")),
            evolve(storage.finished(withdrawn), files=(files[2],)),
        ]
        found = await asyncio.gather(*map(storage.executions.finish, ends), return_exceptions=True)
        assert [isinstance(each, ExecutionLost) for each in found] == [False, True]
        seen = (await storage.files.page(ALICE, None, 10, storage.clock.now())).items
        assert sorted(seen, key=lambda file: file.file_id) == sorted(files[:2], key=lambda file: file.file_id)
        assert await storage.executions.finish(ends[0]) == 1

    async def test_a_file_that_was_removed_before_its_execution_counts_stays_removed(self, storage: Storage) -> None:
        execution = await storage.begin((await storage.add(ALICE)).ref)
        file = await self.left(storage, execution)
        await storage.files.abandon(file.file_id)
        await self.erase_all(storage)
        assert await storage.executions.finish(evolve(storage.finished(execution), files=(file,))) == 1
        with pytest.raises(FileNotFound):
            await storage.files.find(ALICE, file.file_id)

    async def test_a_file_past_its_deadline_is_not_seen_when_its_execution_counts(self, storage: Storage) -> None:
        execution = await storage.begin((await storage.add(ALICE)).ref)
        file = await self.left(storage, execution)
        finished = evolve(storage.finished(execution), files=(file,))
        storage.clock.advance(execution.deadline_at + PAUSE - storage.clock.now())
        assert await storage.executions.finish(finished) == 1
        with pytest.raises(FileNotFound):
            await storage.files.find(ALICE, file.file_id)

    async def test_files_of_an_end_under_a_key_are_seen_with_it(self, storage: Storage) -> None:
        assert storage.keyed_executions is not None
        ref = (await storage.add(ALICE)).ref
        execution = await storage.keyed_executions.begin(*storage.request(ref), KEY)
        assert isinstance(execution, OpenExecution)
        file = await self.left(storage, execution)
        assert await storage.keyed_executions.finish(evolve(storage.finished(execution), files=(file,)), KEY) == 1
        assert await storage.files.find(ALICE, file.file_id) == file

    async def test_an_erased_execution_leaves_no_file_and_no_name_of_one(self, storage: Storage) -> None:
        assert storage.queue is not None
        execution = await storage.begin((await storage.add(ALICE)).ref)
        file, other = await self.left(storage, execution), await self.stored(storage)
        uses = JsonText('{"files":{"out":[{"path":"a"}]},"state":{"version":2}}')
        await storage.executions.finish(evolve(storage.finished(execution), files=(file,), uses=uses))
        erased = execution.execution_id, execution.ref.session_id, act(ActName.EXECUTIONS_ERASE)
        await storage.queue.erase(BOB, *erased)
        assert await storage.files.find(ALICE, file.file_id) == file
        await storage.queue.erase(ALICE, *erased)
        with pytest.raises(FileNotFound):
            await storage.files.find(ALICE, file.file_id)
        row = await storage.executions.get(ALICE, execution.execution_id)
        assert json.loads(row.uses or "") == {"state": {"version": 2}}
        await self.erase_all(storage)
        with pytest.raises(FileNotFound):
            await storage.files.chunk(file.file_id, 0, 0, 1)
        assert await storage.files.find(ALICE, other.file_id) == other

    async def test_an_empty_file_has_no_chunks(self, storage: Storage) -> None:
        file = await self.stored(storage, content=b"")
        assert (await storage.files.find(ALICE, file.file_id)).size == 0
        with pytest.raises(FileNotFound):
            await storage.files.chunk(file.file_id, 0, 0, 1)

    @pytest.mark.parametrize(("first", "size"), [(0, 1), (7, 9), (CHUNK_SIZE - 1, 1), (CHUNK_SIZE - 2, 99)])
    async def test_a_part_of_a_chunk_is_read(self, storage: Storage, first: int, size: int) -> None:
        file = await self.stored(storage)
        assert await storage.files.chunk(file.file_id, 0, first, size) == CONTENT[:CHUNK_SIZE][first : first + size]

    async def test_nobody_sees_a_file_before_its_completion(self, storage: Storage) -> None:
        started = await self.started(storage)
        await self.filled(storage, started)
        with pytest.raises(FileNotFound):
            await storage.files.find(ALICE, started.file_id)
        assert (await storage.files.page(ALICE, None, 10, storage.clock.now())).items == []

    async def test_each_step_may_be_repeated(self, storage: Storage) -> None:
        started = await self.started(storage)
        await storage.files.start(started)
        await self.filled(storage, started)
        file = await self.filled(storage, started)
        now = storage.clock.now()
        await storage.files.complete(file, now)
        again = await storage.files.complete(evolve(file, expires_at=now + 2 * DAY), now)
        assert again.expires_at == file.expires_at
        await storage.files.start(started)
        assert await storage.files.find(ALICE, file.file_id) == file
        assert await self.content(storage, file.file_id, 2) == CONTENT

    async def test_a_complete_file_gets_no_further_chunk(self, storage: Storage) -> None:
        file, now = await self.stored(storage), storage.clock.now()
        with pytest.raises(FileNotFound):
            await storage.files.add_chunk(file.file_id, 2, b"x", now, now + PAUSE)
        with pytest.raises(FileNotFound):
            await storage.files.complete(evolve(file, sha256="00" * 32), now)

    async def test_a_file_whose_upload_pauses_for_too_long_is_lost(self, storage: Storage) -> None:
        started = await self.started(storage)
        file = await self.filled(storage, started)
        storage.clock.advance(PAUSE)
        now = storage.clock.now()
        with pytest.raises(FileNotFound):
            await storage.files.add_chunk(started.file_id, 2, b"x", now, now + PAUSE)
        with pytest.raises(FileNotFound):
            await storage.files.complete(file, now)
        await self.erase_all(storage)
        with pytest.raises(FileNotFound):
            await storage.files.chunk(started.file_id, 0, 0, 1)

    async def test_an_abandoned_file_gets_nothing_more_and_counts_no_longer(self, storage: Storage) -> None:
        started = await self.started(storage)
        file, now = await self.filled(storage, started), storage.clock.now()
        await storage.files.abandon(started.file_id)
        with pytest.raises(FileNotFound):
            await storage.files.add_chunk(started.file_id, 2, b"x", now, now + PAUSE)
        with pytest.raises(FileNotFound):
            await storage.files.complete(file, now)
        assert await storage.files.stored_bytes(ALICE, now) == 0
        assert await storage.files.erase(now, started.file_id) > 0

    async def test_a_complete_file_is_not_abandoned(self, storage: Storage) -> None:
        file = await self.stored(storage)
        await storage.files.abandon(file.file_id)
        assert await storage.files.find(ALICE, file.file_id) == file

    async def test_files_of_others_are_not_found_and_not_removed(self, storage: Storage) -> None:
        file, now = await self.stored(storage), storage.clock.now()
        with pytest.raises(FileNotFound):
            await storage.files.find(BOB, file.file_id)
        with pytest.raises(FileNotFound):
            await storage.files.remove(BOB, file.file_id, now)
        assert (await storage.files.page(BOB, None, 10, now)).items == []
        assert await storage.files.find(ALICE, file.file_id) == file

    async def test_a_page_has_the_newest_files_that_are_kept(self, storage: Storage) -> None:
        old = await self.stored(storage, content=b"old")
        storage.clock.advance(DAY - timedelta(hours=1))
        made = []
        for number in range(5):
            made.append(await self.stored(storage, content=b"%d" % number))
            storage.clock.advance(timedelta(seconds=1))
        found: list[StoredFile] = []
        after: UUID | None = None
        while True:
            page = await storage.files.page(ALICE, after, 2, storage.clock.now())
            assert len(page.items) <= 2
            found += page.items
            after = page.next_after
            if after is None:
                break
        assert found == [*reversed(made), old]
        storage.clock.advance(timedelta(hours=1))
        kept = await storage.files.page(ALICE, None, 10, storage.clock.now())
        assert list(kept.items) == list(reversed(made))

    async def test_bytes_are_those_of_kept_files_and_of_uploads(self, storage: Storage) -> None:
        now = storage.clock.now()
        assert await storage.files.stored_bytes(ALICE, now) == 0
        await self.stored(storage)
        await self.stored(storage, content=b"small")
        await self.started(storage, size=1_000_000)
        await self.stored(storage, BOB)
        expected = len(CONTENT) + COUNTED_MIN
        assert await storage.files.stored_bytes(ALICE, now) == expected + 1_000_000
        storage.clock.advance(PAUSE)
        assert await storage.files.stored_bytes(ALICE, storage.clock.now()) == expected
        storage.clock.advance(DAY)
        assert await storage.files.stored_bytes(ALICE, storage.clock.now()) == 0

    async def test_a_removed_file_is_gone_at_once_and_its_content_soon(self, storage: Storage) -> None:
        file, other, now = await self.stored(storage), await self.stored(storage), storage.clock.now()
        await storage.files.remove(EVERY_OWNER, file.file_id, now)
        with pytest.raises(FileNotFound):
            await storage.files.find(ALICE, file.file_id)
        with pytest.raises(FileNotFound):
            await storage.files.remove(ALICE, file.file_id, now)
        while await storage.files.erase(now, file.file_id):
            pass
        with pytest.raises(FileNotFound):
            await storage.files.chunk(file.file_id, 0, 0, 1)
        assert await storage.files.find(ALICE, other.file_id) == other
        assert await self.content(storage, other.file_id, 2) == CONTENT

    async def test_an_expired_file_is_found_until_its_day_is_emptied(self, storage: Storage) -> None:
        file = await self.stored(storage)
        storage.clock.advance(timedelta(hours=1))
        started = await self.started(storage, like=file.file_id)
        later = await storage.files.complete(await self.filled(storage, started), storage.clock.now())
        storage.clock.advance(DAY - timedelta(hours=1))
        assert await storage.files.empty_slots(storage.clock.now()) == 0
        assert await storage.files.find(ALICE, file.file_id) == file
        storage.clock.advance(timedelta(hours=1))
        assert await storage.files.empty_slots(storage.clock.now()) == 1
        for gone in (file, later):
            with pytest.raises(FileNotFound):
                await storage.files.find(ALICE, gone.file_id)
            with pytest.raises(FileNotFound):
                await storage.files.chunk(gone.file_id, 0, 0, 1)
        assert await storage.files.empty_slots(storage.clock.now()) == 0
