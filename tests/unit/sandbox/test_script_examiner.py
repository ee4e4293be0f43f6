"""An examiner reads untrusted replies, and a script that ends its process costs no other its findings."""

import asyncio
import json
import struct

import pytest
from attrs import define, field

from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.protocol.script_examiner import SandboxScriptExaminer
from adapters.sandbox.workers.channel import Ending, Frame
from adapters.sandbox.workers.process import Exchange
from domain.errors import RuntimeUnavailable
from domain.scripts.examination import ScriptFinding
from domain.scripts.language import Language

PYTHON, NODEJS = Language.PYTHON, Language.NODEJS
SIZE_MAX = 262_144


@define(eq=False)
class FindingProcess:
    """A process that finds each script as a whole, dies of the script `fatal`, and examines `few` scripts at a time."""

    few: int = 1000
    reply: dict = field(factory=dict)
    is_alive: bool = True
    is_busy: bool = field(default=False, init=False)
    received: list[int] = field(factory=list)

    def kill(self) -> None:
        self.is_alive = False

    async def exchange(self, operations: bytes, timeout_s: float, cpu_s_max: float) -> Exchange:
        header_size, body_size = struct.unpack_from("<II", operations)
        header = json.loads(operations[8 : 8 + header_size])
        sources = json.loads(operations[8 + header_size :][:body_size])
        assert header["op"] == "examine"
        assert not self.is_busy, "two exchanges at once"
        self.is_busy = True
        await asyncio.sleep(0)
        self.is_busy = False
        self.received.append(len(sources))
        if "fatal" in sources:
            self.is_alive = False
            return Exchange(Ending.TIMED_OUT, None, elapsed_s=timeout_s, cpu_s=cpu_s_max)
        findings = [[("P4", 1, source)] for source in sources[: self.few]]
        reply = {"nonce": header["nonce"], "kind": "examined", "findings": findings} | self.reply
        return Exchange(Ending.REPLIED, Frame(json.dumps(reply).encode(), b""), elapsed_s=0.002, cpu_s=0.001)


@pytest.fixture
def examiner_of(tmp_path):
    """Makes examiners, and lists the processes that they have started."""

    def examiner_of(**process: object) -> tuple[SandboxScriptExaminer, list[FindingProcess]]:
        started = []

        async def start(_language: Language) -> FindingProcess:
            started.append(FindingProcess(**process))
            return started[-1]

        return SandboxScriptExaminer(start, SandboxOptions(runtimes_dir=tmp_path)), started

    return examiner_of


def found(source: str) -> list[ScriptFinding]:
    return [ScriptFinding("P4", 1, source)]


async def test_scripts_are_examined_in_batches_in_their_order(examiner_of):
    examiner, started = examiner_of()
    sources = [f"script {n}" for n in range(40)]
    assert await examiner.examine(PYTHON, sources) == [found(source) for source in sources]
    assert [process.received for process in started] == [[16, 16, 8]]


async def test_calls_that_overlap_share_one_process_in_turn(examiner_of):
    examiner, started = examiner_of()
    texts = [[f"script {call} {number}" for number in range(20)] for call in range(3)]
    results = await asyncio.gather(*(examiner.examine(PYTHON, each) for each in texts))
    assert results == [[found(source) for source in each] for each in texts]
    assert len(started) == 1


async def test_a_batch_has_a_maximum_of_characters_and_one_script_at_least(examiner_of):
    examiner, started = examiner_of()
    sizes = [SIZE_MAX + 1, 10, SIZE_MAX - 10, 1]
    assert len(await examiner.examine(PYTHON, ["x" * size for size in sizes])) == 4
    assert started[0].received == [1, 2, 1]


async def test_scripts_that_the_process_leaves_out_are_examined_next(examiner_of):
    examiner, started = examiner_of(few=3)
    assert await examiner.examine(PYTHON, list("abcdefg")) == [found(source) for source in "abcdefg"]
    assert started[0].received == [7, 4, 1]


async def test_a_script_that_ends_the_process_costs_no_other_its_findings(examiner_of):
    examiner, started = examiner_of()
    assert await examiner.examine(PYTHON, ["a", "fatal", "b"]) == [found("a"), None, found("b")]
    assert [process.received for process in started] == [[3], [1, 1], [1]]


async def test_each_language_has_a_process_that_is_kept_until_the_end(examiner_of):
    examiner, started = examiner_of()
    for language in (PYTHON, NODEJS, PYTHON):
        await examiner.examine(language, ["a"])
    assert [process.received for process in started] == [[1, 1], [1]]
    examiner.close()
    assert not any(process.is_alive for process in started)


@pytest.mark.parametrize(
    "reply",
    [
        {"nonce": "another"},
        {"kind": "odd"},
        {"findings": []},
        {"findings": [[], []]},
        {"findings": [[("P4", "no line", "")]]},
        {"findings": "none"},
    ],
)
async def test_a_reply_that_is_none_ends_the_process(examiner_of, reply):
    examiner, started = examiner_of(reply=reply)
    assert await examiner.examine(PYTHON, ["a"]) == [None]
    assert not started[0].is_alive


async def test_a_reply_is_cut_to_what_callers_are_promised(examiner_of):
    examiner, _ = examiner_of(reply={"findings": [[("P4", 1, "a\0b")] * 60]})
    assert await examiner.examine(PYTHON, ["a"]) == [[ScriptFinding("P4", 1, "a\ufffdb")] * 50]


async def test_without_a_process_there_is_no_examination(tmp_path):
    async def start(language: Language) -> FindingProcess:
        raise RuntimeUnavailable(language, "no sandbox")

    examiner = SandboxScriptExaminer(start, SandboxOptions(runtimes_dir=tmp_path))
    with pytest.raises(RuntimeUnavailable):
        await examiner.examine(PYTHON, ["a"])
