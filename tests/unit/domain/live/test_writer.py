"""What executions write is stored for other processes in parts without gaps, and dropped with the end."""

import asyncio
from uuid import UUID

import pytest

from adapters.memory.live_output import MemoryLiveOutput
from adapters.memory.store import MemoryStore
from domain.errors import StorageUnavailable
from domain.live.events import OutputPart
from domain.live.hub import LiveHub
from domain.live.position import Position
from domain.live.writer import LiveWriter
from domain.scripts.output import ScriptProgress
from tests.support.waiting import until

SESSION, EXECUTION = UUID(int=1), UUID(int=2)


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    store.open_executions[EXECUTION] = None
    return store


@pytest.fixture
def output(store: MemoryStore) -> MemoryLiveOutput:
    return MemoryLiveOutput(store)


@pytest.fixture
def hub() -> LiveHub[str]:
    return LiveHub(stream_size_max=200_000)


def writer_of(hub: LiveHub[str], output: MemoryLiveOutput, **times: float) -> LiveWriter[str]:
    return LiveWriter(hub, output, **{"pause_s": 0.001, "age_s": -1.0} | times)


def parts_of(output: MemoryLiveOutput) -> list[OutputPart]:
    return [output.parts[each] for each in sorted(output.parts)]


async def test_each_part_has_what_is_new(hub, output):
    writer = writer_of(hub, output)
    with hub.live(SESSION, EXECUTION) as buffer:
        await writer.run_once()
        assert parts_of(output) == []
        buffer.on_stdout("é".encode())
        await writer.run_once()
        await writer.run_once()
        buffer.on_stderr(b"err")
        buffer.on_progress(ScriptProgress(0.5, "half"))
        await writer.run_once()
        found = [
            (each.number, each.stdout.offset, each.stdout.text, each.stderr.text, each.progress_count)
            for each in parts_of(output)
        ]
        assert found == [(1, 0, "é", "", 0), (2, 2, "", "err", 1)]
        state = await output.read(SESSION, EXECUTION, Position())
        assert state.progress == ScriptProgress(0.5, "half")


async def test_progress_alone_replaces_the_progress_before_it(hub, output):
    writer = writer_of(hub, output)
    with hub.live(SESSION, EXECUTION) as buffer:
        buffer.on_stdout(b"1")
        await writer.run_once()
        for done in (1, 2, 3):
            buffer.on_progress(ScriptProgress(done / 10, ""))
            await writer.run_once()
        assert [(each.stdout.text, each.progress_count) for each in parts_of(output)] == [("1", 0), ("", 3)]
        buffer.on_stdout(b"2")
        await writer.run_once()
        buffer.on_progress(ScriptProgress(0.9, ""))
        await writer.run_once()
        assert [(each.stdout.text, each.progress_count) for each in parts_of(output)] == [("1", 0), ("2", 3), ("", 4)]
        state = await output.read(SESSION, EXECUTION, Position())
        assert (bytes(state.stdout.content), state.progress) == (b"12", ScriptProgress(0.9, ""))


async def test_a_part_has_a_bounded_size(hub, output):
    writer = writer_of(hub, output)
    with hub.live(SESSION, EXECUTION) as buffer:
        buffer.on_stdout(b"x" * 100_000)
        for _ in range(3):
            await writer.run_once()
        assert [len(each.stdout.text) for each in parts_of(output)] == [65_536, 34_464]


async def test_what_is_kept_no_longer_is_left_out(hub, output):
    writer = writer_of(hub, output)
    with hub.live(SESSION, EXECUTION) as buffer:
        buffer.on_stdout(b"x" * 250_000)
        await writer.run_once()
        assert parts_of(output)[0].stdout.offset == 50_000


async def test_a_short_execution_costs_the_database_nothing(hub, output):
    writer = writer_of(hub, output, age_s=3600)
    with hub.live(SESSION, EXECUTION) as buffer:
        buffer.on_stdout(b"x")
        await writer.run_once()
        assert (parts_of(output), writer.written) == ([], {})


async def test_the_end_drops_all_parts(hub, output):
    writer = writer_of(hub, output)
    with hub.live(SESSION, EXECUTION) as buffer:
        buffer.on_stdout(b"x")
        await writer.run_once()
        assert list(writer.written) == [EXECUTION]
    await writer.run_once()
    assert (parts_of(output), writer.written) == ([], {})


async def test_what_the_database_does_not_take_is_in_the_next_part(hub, output, store):
    writer = writer_of(hub, output)
    with hub.live(SESSION, EXECUTION) as buffer:
        buffer.on_stdout(b"1")
        store.failure = StorageUnavailable()
        with pytest.raises(StorageUnavailable):
            await writer.run_once()
        store.failure = None
        buffer.on_stdout(b"2")
        opened = store.open_executions.copy()
        store.open_executions.clear()  # another transaction holds the record
        await writer.run_once()
        store.open_executions.update(opened)
        await writer.run_once()
        assert [(each.number, each.stdout.text) for each in parts_of(output)] == [(1, "12")]


async def test_it_writes_until_it_is_cancelled_whatever_the_database_does(hub, output, store):
    writing = asyncio.ensure_future(writer_of(hub, output).run())
    with hub.live(SESSION, EXECUTION) as buffer:
        store.failure = StorageUnavailable()
        buffer.on_stdout(b"x")
        await asyncio.sleep(0)
        store.failure = None
        await until(lambda: parts_of(output))
    await until(lambda: not parts_of(output))
    writing.cancel()
    await asyncio.wait([writing])
