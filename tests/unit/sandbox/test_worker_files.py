"""Files of a run that a worker does not let go of, and workers that are not used again."""

import asyncio
import json
import re

import pytest
from attrs import define, field

from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.protocol.execution import execute
from adapters.sandbox.protocol.files import collect
from adapters.sandbox.selftest.files import TrialFiles
from adapters.sandbox.workers.channel import Ending, Frame
from adapters.sandbox.workers.observation import WorkerOutput
from adapters.sandbox.workers.process import Exchange
from domain.scripts.files import RunFiles
from tests.contracts.script_runs import run_of, script_of

SETTLED = b'"kind":"settled","reusable":true'
LISTED = b'"kind":"listed"'


@define(eq=False)
class ScriptedProcess:
    """A worker that gives these replies, and dies after the last one."""

    replies: list[bytes]
    body: bytes = b"[]"
    killed: bool = False
    variables: dict[str, str] = field(factory=dict)
    syntax: None = None
    output: WorkerOutput = field(factory=lambda: WorkerOutput(1000, lambda: None))

    async def exchange(self, operations: bytes, *_: object, **__: object) -> Exchange:
        if not self.replies:
            return Exchange(Ending.DIED)
        nonce = re.findall(b'"nonce":"([^"]+)"', operations)[-1]
        return Exchange(Ending.REPLIED, Frame(b'{"nonce":"%s",%s}' % (nonce, self.replies.pop(0)), self.body))

    def kill(self) -> None:
        self.killed = True

    async def gone(self) -> None:
        return

    def has_left_threads(self, _: Exchange) -> bool:
        return False

    def has_kept_memory(self, _: Exchange, __: int) -> bool:
        return False


@pytest.mark.parametrize("last", [[], [b'"kind":"failed","message":"busy"']], ids=["it died", "it refused"])
async def test_a_run_whose_files_are_stored_succeeds_even_if_they_cannot_be_removed(last):
    process = ScriptedProcess([LISTED, *last])
    assert await collect(process, RunFiles(1, sink=TrialFiles())) == (None, False)
    assert process.killed


async def test_files_that_cannot_be_collected_fail_the_run():
    process = ScriptedProcess([])
    failure, is_settled = await collect(process, RunFiles(1, sink=TrialFiles()))
    assert failure is not None
    assert "did not give them" in failure.message
    assert (is_settled, process.killed) == (False, True)


async def test_a_reason_of_a_worker_is_short_and_printable():
    shown = "?[31m?X?? " + "E" * 602
    reason = json.dumps("\x1b[31m\u202eX\r\n " + "E" * 200_000).encode()
    process = ScriptedProcess([b'"kind":"failed","message":' + reason])
    failure, _ = await collect(process, RunFiles(1, sink=TrialFiles()))
    message = "No file below /files/out was collected, because the worker did not give them: "
    assert failure.message == f"{message}{shown}."


async def test_a_listed_path_that_is_too_long_breaks_the_protocol():
    for length, is_read in ((513, True), (514, False)):
        process = ScriptedProcess([LISTED, SETTLED], b'[["%s",1]]' % (b"a" * length))
        failure, is_settled = await collect(process, RunFiles(1, sink=TrialFiles()))
        assert ("more than 255" if is_read else "cannot be read") in failure.message
        assert (is_settled, process.killed) == (is_read, not is_read)


async def test_only_wanted_files_are_read_and_others_have_their_turn():
    turns = []

    async def others():
        for number in range(100):
            turns.append(number)
            await asyncio.sleep(0)

    listed = [["a.txt", 0], *([f"{number}.bin", 1] for number in range(60))]
    process = ScriptedProcess([LISTED, SETTLED], json.dumps(listed).encode())
    sink = TrialFiles(patterns=("*.txt",))
    running = asyncio.ensure_future(others())
    assert await collect(process, RunFiles(1, sink=sink)) == (None, True)
    assert sink.kept == {"a.txt": b""}
    assert len(turns) >= 60, "one for each path"
    await running


@pytest.mark.parametrize("reusable", [True, False])
async def test_a_worker_is_kept_only_if_its_run_and_its_files_allow_it(tmp_path, reusable):
    process = ScriptedProcess([b'"kind":"result","reusable":%s' % (b"true" if reusable else b"false"), SETTLED])
    report = await execute(process, run_of("", files=RunFiles(1)), script_of(""), SandboxOptions(tmp_path))
    assert (report.failure, report.result, process.killed) == (None, "[]", not reusable)
