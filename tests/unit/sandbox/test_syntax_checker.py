"""A checker reads untrusted replies, and its next process starts before it is needed."""

import asyncio
import json
import struct

import pytest
from attrs import define, field

from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.protocol.syntax_checker import SyntaxChecker
from adapters.sandbox.workers.channel import Ending, Frame
from adapters.sandbox.workers.process import Exchange
from adapters.sandbox.zygote.launch import LaunchFailed
from domain.scripts.script import InputForm, SyntaxFault


@define(eq=False)
class ReplyingProcess:
    """A process that replies at once with its faults, or with none for each script."""

    faults: object = None
    events_in_context: object = ()
    ending: Ending = Ending.REPLIED
    spent: bool = False
    is_alive: bool = True
    received: list[tuple[list[str], float]] = field(factory=list)

    def kill(self) -> None:
        self.is_alive = False

    async def exchange(self, operations: bytes, timeout_s: float, cpu_s_max: float) -> Exchange:
        header_size, body_size = struct.unpack_from("<II", operations)
        header = json.loads(operations[8 : 8 + header_size])
        sources = json.loads(operations[8 + header_size :][:body_size])
        self.received.append((sources, header["cpu_s"]))
        faults = [None] * len(sources) if self.faults is None else self.faults
        reply = {
            "nonce": header["nonce"],
            "kind": "checked",
            "faults": faults,
            "events_in_context": self.events_in_context,
            "spent": self.spent,
        }
        frame = Frame(json.dumps(reply).encode(), b"") if self.ending is Ending.REPLIED else None
        return Exchange(self.ending, frame, elapsed_s=0.002, cpu_s=0.001)


@define(eq=False)
class Starter:
    """Starts the processes of a list, and fails for an exception in it."""

    outcomes: list[ReplyingProcess | Exception]
    begun: int = 0

    async def __call__(self) -> ReplyingProcess:
        outcome = self.outcomes[self.begun]
        self.begun += 1
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def checker_of(tmp_path):
    def checker_of(start: object, **options: object) -> SyntaxChecker:
        return SyntaxChecker(start, SandboxOptions(runtimes_dir=tmp_path, **options))

    return checker_of


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_batch_is_one_exchange_with_a_fault_for_each_script(checker_of):
    process = ReplyingProcess([None, {"message": "no\0", "line": 1, "column": 2}])
    result = await checker_of(Starter([process])).check(["a = 1", "é ="], 1.0)
    assert process.received == [(["a = 1", "é ="], 0.01)]
    assert result.verdicts == (InputForm.PLAIN, SyntaxFault("no\ufffd", 1, 2))
    assert (result.cpu_s, result.elapsed_s, result.ending) == (0.001, 0.002, Ending.REPLIED)


async def test_the_form_of_a_script_is_that_of_its_place(checker_of):
    process = ReplyingProcess([None, {"message": "no"}, None, None], [1, 2, 9, -1])
    result = await checker_of(Starter([process])).check(["a", "b", "c", "d"], 1.0)
    forms = (InputForm.PLAIN, SyntaxFault("no"), InputForm.EVENT_IN_CONTEXT, InputForm.PLAIN)
    assert result.verdicts == forms


async def test_a_checker_may_leave_out_the_last_scripts(checker_of):
    result = await checker_of(Starter([ReplyingProcess([None])])).check(["a", "b", "c"], 1.0)
    assert result.verdicts == (InputForm.PLAIN,)


async def test_a_process_whose_parser_has_failed_is_replaced(checker_of):
    spent, following = ReplyingProcess([{"message": "too deep"}], spent=True), ReplyingProcess()
    checker = checker_of(Starter([spent, following]))
    assert (await checker.check(["a", "b"], 1.0)).verdicts == (SyntaxFault("too deep"),)
    assert not spent.is_alive
    assert (await checker.check(["b"], 1.0)).verdicts == (InputForm.PLAIN,)


@pytest.mark.parametrize("faults", [[], [None] * 3, "no", [1], [{"line": 1}]])
async def test_a_reply_with_other_faults_breaks_the_protocol_and_ends_the_process(checker_of, faults):
    process = ReplyingProcess(faults)
    result = await checker_of(Starter([process])).check(["a", "b"], 1.0)
    assert (result.verdicts, result.ending, process.is_alive) == ((), Ending.PROTOCOL_BROKEN, False)


async def test_an_exchange_without_a_reply_has_no_faults(checker_of):
    result = await checker_of(Starter([ReplyingProcess(ending=Ending.CPU_LIMIT)])).check(["a"], 1.0)
    assert (result.verdicts, result.ending) == ((), Ending.CPU_LIMIT)


async def test_the_next_process_starts_ahead_and_takes_over_after_the_maximum(checker_of):
    first, second = ReplyingProcess(), ReplyingProcess()
    start = Starter([first, second])
    checker = checker_of(start, checks_per_checker_max=4)
    await checker.check(["a"], 1.0)
    await settle()
    assert start.begun == 1
    await checker.check(["b"], 1.0)
    await settle()
    assert start.begun == 2
    await checker.check(["c", "d"], 1.0)
    assert (first.is_alive, second.received) == (True, [])
    await checker.check(["e"], 1.0)
    assert (first.is_alive, len(second.received), start.begun) == (False, 1, 2)
    await checker.close()


@pytest.mark.parametrize("ahead", [LaunchFailed("no memory"), ReplyingProcess(is_alive=False)])
async def test_a_process_that_failed_ahead_is_started_again(checker_of, ahead):
    start = Starter([ReplyingProcess(), ahead, ReplyingProcess()])
    checker = checker_of(start, checks_per_checker_max=2)
    for text in "abc":
        assert (await checker.check([text], 1.0)).verdicts == (InputForm.PLAIN,)
    assert start.begun == 3


async def test_closing_cancels_a_start_ahead(checker_of):
    cancelled = asyncio.Event()
    started = [ReplyingProcess()]

    async def start() -> ReplyingProcess:
        if started:
            return started.pop()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    checker = checker_of(start, checks_per_checker_max=2)
    await checker.check(["a"], 1.0)
    await settle()
    await checker.close()
    assert cancelled.is_set()
