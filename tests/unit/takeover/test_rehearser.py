"""Recorded calls are run under both conventions, and judged by how they end."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest
from attrs import define, evolve, field
from typing_extensions import override

from adapters.memory.recordings import MemoryRecordingStore
from adapters.memory.script_runner import MemoryScriptRunner
from adapters.memory.sequential_ids import SequentialIds
from adapters.memory.store import MemoryStore
from adapters.memory.takeover import MemoryTakeoverStore
from domain.errors import RuntimeUnavailable
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.examination import ScriptExaminer, ScriptFinding
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.limits import Isolation
from domain.scripts.ports import ScriptRun, Worker
from domain.scripts.report import ExecutionUnknown, Failure, FailureCode, ScriptReport
from domain.scripts.script import Script
from domain.takeover.judgement import Answer, CallVerdict, Judgement
from domain.takeover.recording import RecordedCall, RecordingLimits
from domain.takeover.rehearser import REPEATED_AFTER_S, Rehearser, Sandboxes, record
from domain.takeover.stages import TakeoverRefused
from tests.contracts.recording_store import MINUTE, NOTHING, call_of
from tests.contracts.takeover_store import inbound, receive, takeover_of
from tests.unit.test_memory_contracts import memory_storage

ORIGIN, OWN = Convention.ORIGIN, Convention.OWN
SOURCE = Script.of("def handle(x): return {'a': x}", 1000)
End = JsonText | FailureCode | Exception


@define
class Ends(Worker):
    """One run that ends as the test says."""

    end: End
    released: list[Isolation]
    run_: ScriptRun
    name: str | None = "KeyError"

    @override
    async def run(self) -> ScriptReport:
        if isinstance(self.end, Exception):
            raise self.end
        if isinstance(self.end, FailureCode):
            return ScriptReport(None, Failure(self.end, "secret", name=self.name), 1.0)
        return ScriptReport(self.end, None, 1.0)

    @override
    async def release(self) -> None:
        self.released.append(self.run_.limits.isolation)


@define(eq=False)
class EndingRunner(MemoryScriptRunner):
    """Ends runs as the test says: by convention, the ends of the first, second and further runs."""

    ends: Mapping[Convention, Sequence[End]] = field(factory=dict)
    runs: list[ScriptRun] = field(factory=list)
    released: list[Isolation] = field(factory=list)
    name: str | None = "KeyError"

    @override
    async def acquire(self, run: ScriptRun) -> Worker:
        if self.unavailable is not None:
            raise RuntimeUnavailable(run.language, self.unavailable)
        assert (await run.source()).hash == run.script_hash
        number = sum(each.convention is run.convention for each in self.runs)
        self.runs.append(run)
        return Ends(self.ends[run.convention][number], self.released, run, self.name)


@define
class Findings(ScriptExaminer):
    """Finds the same in every script, and examines one at a time."""

    codes: Sequence[str] = ()
    examined: int = 0
    fails: bool = False
    is_busy: bool = False

    @override
    async def examine(self, language: Language, sources: Sequence[str]) -> Sequence[Sequence[ScriptFinding] | None]:
        assert not self.is_busy
        self.is_busy = True
        await asyncio.sleep(0)
        self.is_busy = False
        self.examined += len(sources)
        if self.fails:
            raise RuntimeUnavailable(language, "install it")
        return [[ScriptFinding(code, 1, "x") for code in self.codes] or None for _ in sources]


@define(slots=False)
class World:
    """Recorded calls of one session, and what runs them."""

    ends: Mapping[Convention, Sequence[End]] = field(factory=dict)
    examiner: Findings = field(factory=Findings)
    slept: list[float] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.memory = MemoryStore()
        self.storage = memory_storage(self.memory)
        self.takeovers = MemoryTakeoverStore(self.memory)
        self.store = MemoryRecordingStore(self.memory, self.takeovers)
        self.runner = EndingRunner(ends=self.ends)
        self.runners = dict.fromkeys(Language, self.runner)
        self.rehearser = Rehearser(
            self.store,
            self.takeovers,
            self.storage.clock,
            SequentialIds(),
            Sandboxes(self.runners, self.examiner),
            self._sleep,
        )

    async def _sleep(self, pause_s: float) -> None:
        self.slept.append(pause_s)

    async def record(self, *results: str | None) -> list[RecordedCall]:
        """Record a call of the session for each result of the origin."""
        await self.takeovers.begin(takeover_of(self.storage))
        title = LanguageTitle(Language.PYTHON, "adder")
        copy = inbound(self.storage, script_hash=SOURCE.hash, language_title=title)
        await receive(self.takeovers, evolve(copy, script=SOURCE))
        now = self.storage.clock.now()
        await self.store.start(now, now + MINUTE)
        texts = [None if each is None else JsonText(each) for each in results]
        calls = [call_of(self.storage, number, result=text) for number, text in enumerate(texts)]
        await self.store.record(calls, NOTHING, RecordingLimits())
        return calls

    async def judged(self, *, dry_run: bool = False) -> list[Judgement]:
        return [each async for batch in self.rehearser.run(dry_run=dry_run) for each in batch.judgements]


async def test_a_recording_is_waited_for_until_everything_is_stored():
    world = World()
    await world.takeovers.begin(takeover_of(world.storage))
    clock, slept = world.storage.clock, []

    async def sleep(pause_s: float) -> None:
        slept.append(pause_s)
        clock.advance(timedelta(seconds=pause_s))

    assert [left async for left in record(world.store, clock, None, sleep)] == []
    length = timedelta(seconds=1.5)
    assert [left async for left in record(world.store, clock, length, sleep)] == [4.5, 3.5, 2.5, 1.5, 0.5]
    assert slept == [1.0] * 4 + [0.5]
    await world.store.start(clock.now(), clock.now() + length)
    left = record(world.store, clock, None, sleep)
    assert await anext(left) == 4.5
    await left.aclose()


async def test_a_recording_needs_a_takeover():
    world = World()
    with pytest.raises(TakeoverRefused, match="takeover copy"):
        await anext(record(world.store, world.storage.clock, MINUTE))


async def answers(result: str | None, origin: Sequence[End], own: Sequence[End]) -> Mapping[Convention, Answer]:
    world = World({ORIGIN: origin, OWN: own})
    await world.record(result)
    (judgement,) = await world.judged()
    return judgement.answers


async def test_a_call_with_the_same_results_is_the_same():
    found = await answers('{"a": 1}', [JsonText('{"a":1.0}')], [JsonText('{"a":1}')])
    assert found == {ORIGIN: Answer(CallVerdict.SAME), OWN: Answer(CallVerdict.SAME)}


async def test_another_result_differs_at_a_place():
    found = await answers('{"a": 1}', [JsonText('{"a":1}')], [JsonText('{"a":2}')] * 2)
    assert found == {ORIGIN: Answer(CallVerdict.SAME), OWN: Answer(CallVerdict.DIFFERS, "/a")}


async def test_no_result_is_null():
    world = World({ORIGIN: [JsonText("null")], OWN: [JsonText("null")]})
    await world.record("null")
    assert [each.answers[ORIGIN].verdict for each in await world.judged()] == [CallVerdict.SAME]


async def test_a_failure_has_its_code_and_name_and_no_message():
    found = await answers("1", [FailureCode.SCRIPT_ERROR] * 2, [FailureCode.SCRIPT_ERROR] * 2)
    assert found[ORIGIN] == Answer(CallVerdict.FAILS, error="SCRIPT_ERROR KeyError")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (None, ""),
        ("JSONDecodeError", " JSONDecodeError"),
        ("StopIteration", " StopIteration"),
        ("handle", " handle"),
        ("ada@example.com", " *"),
        ("\x1b]0;owned\x07", " *"),
        ("A\nError", " *"),
        ("Error\n", " *"),
        ("x" * 60 + "Error", " *"),
    ],
)
async def test_the_name_of_an_error_has_nothing_of_a_payload(name, shown):
    world = World({ORIGIN: [FailureCode.SCRIPT_ERROR] * 2, OWN: [JsonText("1")]})
    world.runner.name = name
    await world.record("1")
    (judgement,) = await world.judged()
    assert judgement.answers[ORIGIN].error == f"SCRIPT_ERROR{shown}"


async def test_a_failure_on_both_sides_is_the_same_and_a_result_here_works():
    found = await answers(None, [FailureCode.SCRIPT_ERROR], [JsonText("1")] * 2)
    assert found == {ORIGIN: Answer(CallVerdict.SAME, error="SCRIPT_ERROR KeyError"), OWN: Answer(CallVerdict.WORKS)}


async def test_a_script_whose_own_executions_differ_varies():
    found = await answers(
        "[1, 2]", [JsonText("[1,3]"), JsonText("[1,4]")], [FailureCode.MEMORY_LIMIT, JsonText("[1,2]")]
    )
    assert found[ORIGIN] == Answer(CallVerdict.VARIES, "/1")
    assert found[OWN].verdict is CallVerdict.VARIES


async def test_a_call_is_run_again_later_and_only_where_it_does_not_end_as_at_the_origin():
    world = World({ORIGIN: [JsonText("1")], OWN: [JsonText("2"), JsonText("2")]})
    await world.record("1")
    await world.judged()
    assert world.slept == [REPEATED_AFTER_S]
    assert [run.convention for run in world.runner.runs] == [ORIGIN, OWN, OWN]


async def test_an_execution_has_the_session_and_leaves_no_worker():
    world = World({ORIGIN: [JsonText("1")], OWN: [JsonText("1")]})
    (call,) = await world.record("1")
    await world.judged()
    copy = inbound(world.storage).session
    for run in world.runner.runs:
        assert (run.ref, run.context, run.params) == (copy.ref, copy.context, call.params)
        assert run.limits == evolve(copy.limits, isolation=Isolation.PROCESS)
        assert run.session_left > timedelta(minutes=30)
    assert world.runner.released == [Isolation.PROCESS] * 2
    assert world.memory.sessions == {}
    assert world.memory.history == {}


async def test_each_script_is_examined_once_and_a_handler_may_depend_on_its_argument():
    world = World({ORIGIN: [JsonText("1")] * 3, OWN: [JsonText("1")] * 3}, Findings(("P7", "P5", "P7")))
    await world.record("1", "1", "1")
    assert [each.codes for each in await world.judged()] == [["P1", "P5", "P7"]] * 3
    assert world.examiner.examined == 1


@pytest.mark.parametrize("examiner", [Findings(fails=True), Findings()])
async def test_a_script_that_is_not_examined_is_judged_all_the_same(examiner):
    world = World({ORIGIN: [JsonText("1")], OWN: [JsonText("1")]}, examiner)
    await world.record("1")
    assert [each.codes for each in await world.judged()] == [["P1"]]


async def test_a_rehearsal_continues_where_it_stopped():
    world = World({ORIGIN: [JsonText("1")] * 40, OWN: [JsonText("1")] * 40})
    calls = await world.record(*["1"] * 20)
    batches = world.rehearser.run(dry_run=False)
    first = await anext(batches)
    await batches.aclose()
    assert len(await world.store.judgements(None, 100)) == len(first.judgements) == 16
    assert [each.call_id for each in await world.judged()] == [each.call_id for each in calls[16:]]
    assert await world.judged() == []


async def test_a_dry_run_stores_nothing():
    world = World({ORIGIN: [JsonText("1")], OWN: [JsonText("1")]})
    await world.record("1")
    assert len(await world.judged(dry_run=True)) == 1
    assert (await world.store.counts()).judged == 0


@pytest.mark.parametrize("fault", ["unavailable", "unknown", "unknown at last"])
async def test_what_the_sandbox_cannot_run_is_left_for_the_next_rehearsal(fault):
    lost = ExecutionUnknown("it ended")
    ends = [JsonText("2"), lost] if fault == "unknown at last" else [lost]
    world = World({ORIGIN: ends, OWN: [JsonText("1")]})
    world.runner.unavailable = "install it" if fault == "unavailable" else None
    await world.record("1")
    (judgement,) = await world.judged()
    assert judgement.is_skipped
    assert judgement.answers[ORIGIN] == Answer(CallVerdict.SKIPPED, error="RUNTIME_UNAVAILABLE")
    assert (await world.store.counts()).judged == 0


async def test_calls_whose_session_has_ended_are_counted():
    world = World()
    calls = await world.record("1", "2")
    await world.takeovers.discard([calls[0].session_id])
    batches = [each async for each in world.rehearser.run(dry_run=False)]
    assert [(each.judgements, each.uncopied) for each in batches] == [([], 2)]


async def test_nothing_of_a_payload_is_in_a_judgement():
    world = World({ORIGIN: [FailureCode.SCRIPT_ERROR] * 2, OWN: [JsonText('"hidden-here"')] * 2})
    await world.record('"hidden-there"')
    told = repr(await world.judged()) + repr(await world.store.unjudged(None, 1))
    assert "hidden" not in told
    assert "secret" not in told
