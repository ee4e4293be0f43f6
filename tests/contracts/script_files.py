"""The contract of ScriptRunner for runs with files, in terms of Python scripts."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from attrs import define
from typing_extensions import override

from adapters.sandbox.selftest.files import TrialFiles, given_file
from domain.errors import RuntimeUnavailable
from domain.files.file import FileNotFound
from domain.scripts.files import MIB, PIECE_SIZE, GivenFile, LeftFile, RunFiles
from domain.scripts.ports import Worker
from domain.scripts.report import FailureCode
from tests.contracts.script_runs import failure_of, new_session, report_of, result_of, run_of

LARGE = bytes(range(256)) * 2500
COPIES = (
    "sizes = []\n"
    "for name in ('large', 'empty', 'é'):\n"
    "    with open(f'/files/in/{name}', 'rb') as given, open(f'/files/out/{name}.copy', 'wb') as left:\n"
    "        content = given.read()\n"
    "        sizes.append(len(content))\n"
    "        left.write(content)\n"
    "result = sizes"
)
LEAVES = "with open('/files/out/{}', 'wb') as left:\n    left.write(b'{}')\n"
GIVEN = (given_file("large", LARGE), given_file("empty", b""), given_file("é", b"small"))


@define(eq=False)
class FullSink(TrialFiles):
    """Takes the first piece of each file, and none of them."""

    @override
    async def take(self, file: LeftFile, pieces: AsyncIterator[bytes]) -> bool:
        await anext(pieces)
        return False


class ScriptFilesContract:
    """Runs with files. A subclass provides `runner`."""

    async def test_a_script_finds_its_files_and_leaves_others(self, runner):
        ref, sink = new_session(), TrialFiles()
        for _ in range(2):
            run = run_of(COPIES, ref=ref, files=RunFiles(2, GIVEN, sink))
            assert json.loads(await result_of(runner, run)) == [len(LARGE), 0, 5]
            assert sink.kept == {"large.copy": LARGE, "empty.copy": b"", "é.copy": b"small"}

    async def test_what_a_pattern_has_is_collected(self, runner):
        sink = TrialFiles(patterns=("*.txt",))
        source = LEAVES.format("a.txt", "a") + LEAVES.format("b.bin", "b")
        await result_of(runner, run_of(source, files=RunFiles(1, sink=sink)))
        assert sink.kept == {"a.txt": b"a"}

    async def test_a_script_without_a_sink_leaves_no_files(self, runner):
        assert await result_of(runner, run_of(LEAVES.format("a", "a") + "result = 1", files=RunFiles(1))) == "1"

    async def test_what_a_failed_script_has_left_is_collected(self, runner):
        sink = TrialFiles()
        run = run_of(LEAVES.format("a", "a") + "raise ValueError", files=RunFiles(1, sink=sink))
        assert (await failure_of(runner, run)).code is FailureCode.SCRIPT_ERROR
        assert sink.kept == {"a": b"a"}

    async def test_files_beyond_a_limit_are_refused_with_it_and_none_is_kept(self, runner):
        sink = TrialFiles()
        source = "for n in range(65):\n    open(f'/files/out/{n}', 'wb').close()"
        failure = await failure_of(runner, run_of(source, files=RunFiles(1, sink=sink)))
        assert (failure.code, failure.limit, failure.observed) == (FailureCode.FILES_TOO_LARGE, 64, 65)
        assert sink.kept == {}

    async def test_nothing_is_started_if_a_file_cannot_be_read(self, runner):
        async def lost() -> AsyncIterator[bytes]:
            yield bytes(PIECE_SIZE)
            raise FileNotFound

        sink = TrialFiles()
        files = RunFiles(1, (GivenFile("a", PIECE_SIZE + 1, lost),), sink)
        with pytest.raises(FileNotFound):
            await report_of(runner, run_of(LEAVES.format("a", "a"), files=files))
        assert sink.kept == {}

    async def test_nothing_is_started_if_the_worker_cannot_take_a_file(self, runner):
        files = RunFiles(1, (given_file("a", bytes(2 * MIB)),))
        with pytest.raises(RuntimeUnavailable, match="did not take its files"):
            await report_of(runner, run_of("result = 1", files=files))

    async def test_a_sink_that_is_full_ends_the_collection(self, runner):
        sink = FullSink()
        source = LEAVES.format("a", "a") + LEAVES.format("b", "b") + "result = 1"
        assert await result_of(runner, run_of(source, files=RunFiles(1, sink=sink))) == "1"
        assert sink.kept == {}

    async def test_a_run_is_stopped_while_its_files_are_delivered(self, runner):
        workers: list[Worker] = []
        is_stopped = asyncio.Event()

        async def stopping() -> AsyncIterator[bytes]:
            assert await workers[0].stop()
            is_stopped.set()
            yield b"piece"

        sink = TrialFiles()
        files = RunFiles(1, (GivenFile("a", 5, stopping),), sink)
        workers.append(await runner.acquire(run_of(LEAVES.format("a", "a"), files=files)))
        try:
            report = await workers[0].run()
        finally:
            await workers[0].release()
        assert is_stopped.is_set()
        assert report.failure is not None
        assert (report.failure.code, sink.kept) == (FailureCode.EXECUTION_CANCELLED, {})
