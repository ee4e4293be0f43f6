"""Files of executions: those that a caller gives, and those that a script leaves."""

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from domain.concurrency.budget import Budget
from domain.errors import DomainError, FieldTooLarge, InvalidRequest, QuotaReached, StorageUnavailable
from domain.files.file import CHUNK_SIZE, FileNotFound, LeftBy, StorageFull
from domain.files.given import inline_file, require_given, stored_file
from domain.files.left import LeftFiles, files_lost
from domain.identity import SessionRef
from domain.scripts.files import GivenFile, LeftFile
from domain.scripts.report import Failure, FailureCode, ScriptReport
from tests.contracts.script_runs import new_id
from tests.unit.services.test_files import ALICE, BOB, CONTENT, DAY, TURNS, World, chunked, chunks


@pytest.fixture
def world() -> World:
    return World()


def left_by(world: World) -> LeftBy:
    until = world.clock.now() + timedelta(minutes=30)
    return LeftBy(SessionRef(ALICE, new_id()), new_id(), until)


async def take(sink: LeftFiles, path: str, content: bytes = CONTENT) -> bool:
    return await sink.take(LeftFile(path, len(content)), chunks(*chunked(content)))


async def test_files_that_a_script_left_are_stored_and_not_seen(world: World) -> None:
    by = left_by(world)
    sink = LeftFiles(world.service, by, Budget(5))
    assert await take(sink, "plots/a.png")
    assert await take(sink, "notes", b"")
    assert sink.files == {}
    sink.complete()
    plot, notes = sink.files["plots/a.png"], sink.files["notes"]
    assert (plot.name, plot.content_type, plot.size) == ("a.png", "image/png", len(CONTENT))
    assert plot.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert (notes.name, notes.content_type, notes.size) == ("notes", "application/octet-stream", 0)
    assert {each.expires_at for each in (plot, notes)} == {world.clock.now() + DAY}
    assert (plot.session_id, plot.execution_id, plot.owner) == (by.ref.session_id, by.execution_id, ALICE)
    with pytest.raises(FileNotFound):
        await world.service.get(ALICE, plot.file_id)
    assert {each.expires_at for each in world.files.started.values()} == {by.until}


@pytest.mark.parametrize(
    ("size", "error"), [(4 * CHUNK_SIZE, FieldTooLarge), (3 * CHUNK_SIZE, QuotaReached), (CHUNK_SIZE, StorageFull)]
)
async def test_a_file_beyond_a_limit_ends_the_collection_with_its_error(
    world: World, size: int, error: type[Exception]
) -> None:
    sink = LeftFiles(world.service, left_by(world), Budget(5))
    sizes = {QuotaReached: [3 * CHUNK_SIZE] * 2, StorageFull: [3 * CHUNK_SIZE] * 2 + [2 * CHUNK_SIZE] * 1}
    for number, each in enumerate(sizes.get(error, [])):
        assert await take(LeftFiles(world.service, left_by(world), Budget(5)), str(number), bytes(each))
    if error is StorageFull:
        world.measured = type(world.measured)(20 * CHUNK_SIZE, world.clock.now())
    assert not await take(sink, "a", bytes(size))
    assert isinstance(sink.error, error)
    assert sink.files == {}


async def test_a_file_that_was_not_collected_takes_no_room(world: World) -> None:
    left = LeftFile("a", 3 * CHUNK_SIZE)
    for _ in range(8):
        sink = LeftFiles(world.service, left_by(world), Budget(5))
        assert not await sink.take(left, chunks(bytes(CHUNK_SIZE), failure=FieldTooLarge("", 1, 2)))
        world.files.started.clear()
    assert await take(LeftFiles(world.service, left_by(world), Budget(5)), "b", bytes(3 * CHUNK_SIZE))


async def content_of(file: GivenFile) -> bytes:
    return b"".join([piece async for piece in file.pieces()])


async def test_an_uploaded_file_and_one_of_the_request_are_given(world: World) -> None:
    uploaded = await world.upload()
    given = stored_file(world.service, "in/a.bin", uploaded, Budget(5))
    assert (given.path, given.size, await content_of(given)) == ("in/a.bin", len(CONTENT), CONTENT)
    inline = inline_file("b", CONTENT)
    assert (inline.size, await content_of(inline)) == (len(CONTENT), CONTENT)
    empty = stored_file(world.service, "c", await world.upload(b""), Budget(5))
    assert await content_of(empty) == await content_of(inline_file("d", b"")) == b""
    require_given([given, inline, empty], 1)


async def nothing() -> AsyncIterator[bytes]:
    return
    yield b""


def given(path: str, size: int = 1) -> GivenFile:
    return GivenFile(path, size, nothing)


@pytest.mark.parametrize(
    ("files", "pointers"),
    [
        ([given("a"), given("../b")], ["/files/1/path"]),
        ([given("a"), given("a")], ["/files/0/path", "/files/1/path"]),
        ([given("a"), given("a/b")], ["/files/0/path"]),
        ([given(str(number)) for number in range(65)], ["/files"]),
        ([given(f"{number}/{number}/a") for number in range(33)], ["/files"]),
        ([given("a", (1 << 20) - 4095), given("b")], ["/files"]),
    ],
)
def test_files_that_a_script_cannot_find_are_refused(files: list[GivenFile], pointers: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        require_given(files, 1)
    assert [each.pointer for each in refused.value.problems] == pointers


def test_files_up_to_the_limits_are_taken() -> None:
    require_given([given("a", (1 << 20) - 8191), given("b"), given("c", 0)], 1)
    require_given([given(f"{number}/a") for number in range(64)], 1)


@pytest.mark.parametrize(
    ("error", "words", "limit", "observed"),
    [
        (FieldTooLarge("", 5, 7), "a file has 7 bytes, and MAX_FILE_MB allows 5", 5, 7),
        (QuotaReached("stored_file_bytes", 5, 7), "MAX_FILES_MB_PER_OWNER allows 5", 5, 7),
        (StorageFull(5, 7), "MAX_FILES_GB allows 5", 5, 7),
        (FileNotFound(), "the session or its owner was purged meanwhile", None, None),
        (StorageUnavailable(), r"did not store one in time \(STORAGE_UNAVAILABLE\)", None, None),
    ],
)
def test_the_failure_of_lost_files_says_why(
    error: DomainError, words: str, limit: int | None, observed: int | None
) -> None:
    failure = files_lost(error)
    assert re.search(words, failure.message)
    assert (failure.code, failure.limit, failure.observed) == (FailureCode.FILES_LOST, limit, observed)


async def test_files_that_are_not_delivered_in_time_start_nothing(world: World) -> None:
    uploaded = await world.upload()
    given = stored_file(world.service, "a", uploaded, Budget(0))
    async with held_turns(world):
        with pytest.raises(StorageUnavailable) as late:
            await content_of(given)
    assert (late.value.stored, late.value.executed) == ("no", "no")


async def test_files_that_are_not_stored_in_time_are_erased(world: World) -> None:
    sink = LeftFiles(world.service, left_by(world), Budget(0))
    async with held_turns(world):
        assert not await take(sink, "a")
    assert isinstance(sink.error, StorageUnavailable)
    assert await world.left() == 0


async def test_what_was_stored_in_vain_is_erased(world: World) -> None:
    sink = LeftFiles(world.service, left_by(world), Budget(5))
    assert await take(sink, "a")
    failed = ScriptReport(None, Failure(FailureCode.FILES_REFUSED, "no"), 1.0)
    assert sink.reported(failed) == failed
    assert await world.left() == 0


@asynccontextmanager
async def held_turns(world: World) -> AsyncIterator[None]:
    """Let nobody else have a turn."""
    for _ in range(TURNS):
        await world.turns.acquire(BOB, 0)
    try:
        yield
    finally:
        for _ in range(TURNS):
            world.turns.release(BOB)
