"""Files of executions: those that a caller gives, and those that a script leaves."""

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from domain.errors import FieldTooLarge, InvalidRequest, QuotaReached
from domain.files.file import CHUNK_SIZE, FileNotFound, LeftBy, StorageFull
from domain.files.given import inline_file, require_given, stored_file
from domain.files.left import LeftFiles
from domain.identity import SessionRef
from domain.scripts.files import GivenFile, LeftFile
from tests.contracts.script_runs import new_id
from tests.unit.services.test_files import ALICE, BOB, CONTENT, DAY, World, chunked, chunks


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
    sink = LeftFiles(world.service, by)
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
    sink = LeftFiles(world.service, left_by(world))
    sizes = {QuotaReached: [3 * CHUNK_SIZE] * 2, StorageFull: [3 * CHUNK_SIZE] * 2 + [2 * CHUNK_SIZE] * 1}
    for number, each in enumerate(sizes.get(error, [])):
        assert await take(LeftFiles(world.service, left_by(world)), str(number), bytes(each))
    if error is StorageFull:
        world.measured = type(world.measured)(20 * CHUNK_SIZE, world.clock.now())
    assert not await take(sink, "a", bytes(size))
    assert isinstance(sink.error, error)
    assert sink.files == {}


async def test_a_file_that_was_not_collected_takes_no_room(world: World) -> None:
    left = LeftFile("a", 3 * CHUNK_SIZE)
    for _ in range(8):
        sink = LeftFiles(world.service, left_by(world))
        assert not await sink.take(left, chunks(bytes(CHUNK_SIZE), failure=FieldTooLarge("", 1, 2)))
        world.files.started.clear()
    assert await take(LeftFiles(world.service, left_by(world)), "b", bytes(3 * CHUNK_SIZE))


async def content_of(file: GivenFile) -> bytes:
    return b"".join([piece async for piece in file.pieces()])


async def test_an_uploaded_file_and_one_of_the_request_are_given(world: World) -> None:
    uploaded = await world.upload()
    given = await stored_file(world.service, ALICE, "in/a.bin", uploaded.file_id)
    assert (given.path, given.size, await content_of(given)) == ("in/a.bin", len(CONTENT), CONTENT)
    inline = inline_file("b", CONTENT)
    assert (inline.size, await content_of(inline)) == (len(CONTENT), CONTENT)
    empty = await stored_file(world.service, ALICE, "c", (await world.upload(b"")).file_id)
    assert await content_of(empty) == await content_of(inline_file("d", b"")) == b""
    require_given([given, inline, empty], 1)
    with pytest.raises(FileNotFound):
        await stored_file(world.service, BOB, "in/a.bin", uploaded.file_id)


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
