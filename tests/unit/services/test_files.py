"""Files: limits, quotas, room, and what becomes of uploads that do not end well."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from attrs import define, evolve, field

from adapters.memory.files import MemoryFileRepository
from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from domain.concurrency.background_tasks import BackgroundTasks
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.concurrency.fair_turns import FairTurns
from domain.errors import FieldTooLarge, Overloaded, QuotaReached, StorageUnavailable
from domain.files.file import CHUNK_SIZE, DigestMismatch, FileExpired, FileNotFound, NewFile, Span, StorageFull
from domain.files.limits import FileLimits
from domain.files.ports import COUNTED_MIN
from domain.files.room import FileRoom, Measured
from domain.files.service import FileService
from domain.identity import EVERY_OWNER, Owner
from entrypoints.http.endpoints.file_health import FileHealth

ALICE, BOB = Owner("alice"), Owner("bob")
DAY = timedelta(days=1)
LIMITS = FileLimits(size_max=3 * CHUNK_SIZE, owner_bytes_max=8 * CHUNK_SIZE, bytes_max=20 * CHUNK_SIZE, retention=DAY)
CONTENT = bytes(range(256)) * 1024 + b"the end"
TURNS = 2


class BrokenOff(Exception):
    pass


async def chunks(*pieces: bytes, failure: Exception | None = None) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    if failure is not None:
        raise failure


def chunked(content: bytes) -> Sequence[bytes]:
    return [content[at : at + CHUNK_SIZE] for at in range(0, len(content), CHUNK_SIZE)]


@define(eq=False)
class World:
    limits: FileLimits = LIMITS
    clock: ManualClock = field(factory=ManualClock)
    files: MemoryFileRepository = field(factory=MemoryFileRepository)
    tasks: BackgroundTasks = field(factory=BackgroundTasks)
    measured: Measured = field(factory=Measured)
    transfers: CapacityLimiter = field(factory=lambda: CapacityLimiter("the transfer of files", 4, 2))
    turns: FairTurns = field(factory=lambda: FairTurns("the transfer of files", TURNS, TURNS, CHUNK_SIZE * 8))
    service: FileService = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.service = FileService(
            clock=self.clock,
            ids=SequentialIds(),
            files=self.files,
            limits=self.limits,
            room=FileRoom(self.limits, lambda: self.measured),
            transfers=self.transfers,
            turns=self.turns,
            tasks=self.tasks,
        )

    async def upload(self, content: bytes = CONTENT, owner: Owner = ALICE, **declared: Any) -> Any:
        new = NewFile("a.bin", **{"size": len(content)} | declared)
        return await self.service.upload(owner, new, chunks(*chunked(content)))

    async def read(self, file: Any, span: Span | None = None) -> bytes:
        wanted = span or Span(0, file.size - 1)
        return b"".join([piece async for piece in self.service.content(ALICE, file, wanted)])

    async def left(self) -> int:
        """Return how much the repository still has, once the work in the background has ended."""
        await self.tasks.drain(5)
        return len(self.files.started) + len(self.files.chunks)


@pytest.fixture
def world() -> World:
    return World()


async def test_a_file_is_read_as_it_was_sent(world: World) -> None:
    file = await world.upload(sha256=hashlib.sha256(CONTENT).hexdigest())
    assert (file.size, file.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert file.expires_at == world.clock.now() + DAY
    assert await world.service.get(ALICE, file.file_id) == file
    assert await world.service.get(EVERY_OWNER, file.file_id) == file
    assert await world.read(file) == CONTENT
    stats = world.service.stats
    assert (stats.stored, stats.received_bytes, stats.sent_bytes) == (1, len(CONTENT), len(CONTENT))


@pytest.mark.parametrize(
    ("first", "last"), [(0, 0), (5, 9), (CHUNK_SIZE - 2, CHUNK_SIZE + 1), (CHUNK_SIZE, len(CONTENT) - 1)]
)
async def test_a_span_is_read(world: World, first: int, last: int) -> None:
    file = await world.upload()
    assert await world.read(file, Span(first, last)) == CONTENT[first : last + 1]


async def test_an_empty_file_is_a_file(world: World) -> None:
    file = await world.upload(b"")
    assert (file.size, file.sha256) == (0, hashlib.sha256().hexdigest())


async def test_a_size_that_is_declared_too_large_is_refused_before_a_byte_is_read(world: World) -> None:
    new = NewFile("a.bin", size=LIMITS.size_max + 1)
    with pytest.raises(FieldTooLarge) as refusal:
        await world.service.upload(ALICE, new, chunks(failure=AssertionError()))
    assert refusal.value.details == {"pointer": "", "limit": LIMITS.size_max, "observed": LIMITS.size_max + 1}
    assert await world.left() == 0


async def test_a_file_that_grows_too_large_is_erased(world: World) -> None:
    with pytest.raises(FieldTooLarge):
        await world.upload(b"x" * (LIMITS.size_max + 1), size=None)
    assert (await world.left(), world.service.stats.abandoned) == (0, 1)


async def test_another_digest_than_the_declared_one_stores_nothing(world: World) -> None:
    with pytest.raises(DigestMismatch) as refusal:
        await world.upload(sha256="00" * 32)
    assert refusal.value.details["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert await world.left() == 0


async def test_an_upload_that_breaks_off_leaves_nothing(world: World) -> None:
    with pytest.raises(BrokenOff):
        await world.service.upload(ALICE, NewFile("a.bin"), chunks(*chunked(CONTENT), failure=BrokenOff()))
    assert (await world.left(), world.transfers.in_use) == (0, 0)


async def test_while_the_database_is_away_the_rest_stays_for_the_cleanup(world: World) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"x" * CHUNK_SIZE
        world.files.failure = StorageUnavailable()
        yield b"y"

    with pytest.raises(StorageUnavailable):
        await world.service.upload(ALICE, NewFile("a.bin"), failing())
    assert await world.left() == 2
    world.files.failure = None
    world.clock.advance(LIMITS.pause_max)
    assert await world.files.erase(world.clock.now()) == 1


async def test_an_owner_never_has_more_than_its_quota(world: World) -> None:
    for _ in range(3):
        await world.upload(b"x" * 2 * CHUNK_SIZE)
    with pytest.raises(QuotaReached) as refusal:
        await world.upload(b"x" * 2 * CHUNK_SIZE + b"y")
    assert refusal.value.details == {
        "limit": "stored_file_bytes",
        "allowed": 8 * CHUNK_SIZE,
        "observed": 8 * CHUNK_SIZE + 1,
    }
    assert "each at least 64 KiB" in refusal.value.message
    await world.left()
    await world.upload(b"x" * 2 * CHUNK_SIZE)
    await world.upload(b"x", owner=BOB)
    world.clock.advance(DAY)
    await world.upload()


async def test_uploads_at_the_same_moment_do_not_exceed_the_quota_together(world: World) -> None:
    limited = World(evolve(LIMITS, owner_bytes_max=3 * CHUNK_SIZE), transfers=CapacityLimiter("files", 40))
    calls = [limited.upload(b"x" * CHUNK_SIZE) for _ in range(5)]
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(each, QuotaReached) for each in ended) >= 2
    assert await limited.files.stored_bytes(ALICE, limited.clock.now()) <= 3 * CHUNK_SIZE


async def test_small_files_count_a_minimum(world: World) -> None:
    limited = World(evolve(LIMITS, owner_bytes_max=2 * COUNTED_MIN))
    for _ in range(2):
        await limited.upload(b"")
    with pytest.raises(QuotaReached):
        await limited.upload(b"")


async def test_without_room_for_all_files_nothing_is_stored(world: World) -> None:
    world.measured = Measured(19 * CHUNK_SIZE, world.clock.now())
    await world.upload(b"x" * CHUNK_SIZE)
    with pytest.raises(StorageFull) as refusal:
        await world.upload(b"y")
    assert refusal.value.details == {"allowed": 20 * CHUNK_SIZE, "observed": 20 * CHUNK_SIZE}
    assert "MAX_FILES_GB" in refusal.value.message
    assert (world.service.stats.full, world.service.transfers) == (1, 0)
    world.clock.advance(timedelta(seconds=30))
    world.measured = Measured(19 * CHUNK_SIZE, world.clock.now())
    await world.upload(b"y")


async def test_bytes_that_were_reserved_and_not_stored_take_no_room() -> None:
    world = World(evolve(LIMITS, owner_bytes_max=LIMITS.bytes_max))
    for _ in range(3 * LIMITS.bytes_max // LIMITS.size_max):
        await world.upload(b"tiny", size=None)
        with pytest.raises(BrokenOff):
            await world.service.upload(BOB, NewFile("a.bin"), chunks(failure=BrokenOff()))
        await world.left()
    world.measured = Measured(20 * CHUNK_SIZE - 7, world.clock.now())
    await world.upload(b"small", size=5)
    with pytest.raises(StorageFull):
        await world.upload(b"not", size=3)


async def test_what_was_reserved_before_a_measurement_is_not_given_back_after_it(world: World) -> None:
    async def measured_meanwhile() -> AsyncIterator[bytes]:
        world.measured = Measured(20 * CHUNK_SIZE - 7, world.clock.now())
        await world.upload(b"small", size=5)
        yield b"tiny"

    await world.service.upload(BOB, NewFile("a.bin"), measured_meanwhile())
    with pytest.raises(StorageFull):
        await world.upload(b"not", size=3)


async def test_health_is_degraded_while_files_take_nearly_all_of_their_room(world: World) -> None:
    health = FileHealth(world.service)
    nothing = {"status": "ok", "stored_bytes": 0, "max_bytes": 20 * CHUNK_SIZE, "measured_at": None}
    assert await health.probe() == nothing
    world.measured = Measured(17 * CHUNK_SIZE, world.clock.now())
    assert (await health.probe())["status"] == "ok"
    await world.upload(b"x" * CHUNK_SIZE)
    facts = await health.probe()
    assert (facts["status"], facts["stored_bytes"]) == ("degraded", 18 * CHUNK_SIZE)
    assert "90% of MAX_FILES_GB" in facts["reason"]


async def test_transfers_of_an_owner_are_limited(world: World) -> None:
    file = await world.upload()
    readers = [world.service.content(ALICE, file, Span(0, 9)) for _ in range(3)]
    assert [await anext(each) for each in readers[:2]] == [CONTENT[:10]] * 2
    with pytest.raises(QuotaReached):
        await anext(readers[2])
    for each in readers[:2]:
        await each.aclose()
    assert world.transfers.in_use == 0


async def test_a_call_that_finds_too_many_waiting_is_refused(world: World) -> None:
    full = World(transfers=CapacityLimiter("the transfer of files", 0))
    with pytest.raises(Overloaded):
        await full.upload()


async def test_a_removed_file_is_gone_with_its_content(world: World) -> None:
    file = await world.upload()
    await world.service.remove(ALICE, file.file_id)
    for call in (world.service.get, world.service.remove):
        with pytest.raises(FileNotFound) as refusal:
            await call(ALICE, file.file_id)
        assert "GET /api/v1/files" in refusal.value.message
    assert await world.left() == 0
    with pytest.raises(FileNotFound):
        await world.read(file)


async def test_a_content_that_ends_early_is_an_error(world: World) -> None:
    file = await world.upload()
    with pytest.raises(FileNotFound):
        await world.read(file, Span(0, file.size))


async def test_an_expired_file_says_since_when(world: World) -> None:
    file = await world.upload()
    world.clock.advance(DAY)
    with pytest.raises(FileExpired) as refusal:
        await world.service.get(ALICE, file.file_id)
    assert refusal.value.details == {"expired_at": file.expires_at}
    assert "FILE_RETENTION_SECONDS" in refusal.value.message
    assert list((await world.service.page(ALICE, None, 10)).items) == []


async def test_pages_list_the_files_of_the_owner(world: World) -> None:
    files = [await world.upload(b"%d" % number) for number in range(3)]
    first = await world.service.page(ALICE, None, 2)
    assert list(first.items) == [files[2], files[1]]
    second = await world.service.page(ALICE, first.next_after, 2)
    assert (list(second.items), second.next_after) == ([files[0]], None)


def test_errors_say_what_to_do() -> None:
    assert "Content-Digest" in DigestMismatch("a", "b").message
