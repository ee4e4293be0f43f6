"""Runs recorded calls in the sandbox, and judges how they end."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

from attrs import define, evolve, field, frozen

from domain.clock import Clock, IdGenerator
from domain.concurrency.budget import Budget
from domain.errors import Overloaded, RuntimeUnavailable
from domain.scripts.convention import Convention
from domain.scripts.examination import ScriptExaminer
from domain.scripts.language import Language
from domain.scripts.limits import Isolation
from domain.scripts.ports import ScriptRun, ScriptRunner
from domain.scripts.report import ExecutionUnknown, Failure, ScriptReport
from domain.scripts.script import Script
from domain.takeover.comparison import compared, is_word_of
from domain.takeover.judgement import REHEARSED, Answer, CallVerdict, Judgement
from domain.takeover.moving import InboundSession
from domain.takeover.ports import TakeoverStore
from domain.takeover.recorder import FLUSH_EACH_S
from domain.takeover.recording import RecordedCall, RecordingStore
from domain.takeover.scripts import ScriptForm, form_of
from domain.takeover.stages import TakeoverRefused

REPEATED_AFTER_S = 1.1
"""After this time a call is run again whose end is another one: a script that shows the time in seconds has changed."""

_PAGE = 16
_AT_ONCE = 2
"""Executions at once: the rehearsal shares its host with others."""
_OVERHEAD_S = 10.0
"""What the sandbox may add to the time limit of a script."""
_LOOK_EACH_S = 1.0
_STORED_AFTER = timedelta(seconds=3 * FLUSH_EACH_S)
"""After the end of a recording every front has stored what it has sampled."""
_SESSION_LEFT = timedelta(hours=1)
_USUAL_NAME = re.compile(r"[A-Za-z]{1,50}(?:Error|Exception|Exit|Interrupt|Iteration|Warning)")
"""Errors that interpreters and libraries name; another name is shown only if the script has it."""
_NOT_AS_THERE = frozenset({CallVerdict.DIFFERS, CallVerdict.FAILS, CallVerdict.WORKS})

Sleep = Callable[[float], Awaitable[None]]


async def record(
    recordings: RecordingStore, clock: Clock, length: timedelta | None, sleep: Sleep = asyncio.sleep
) -> AsyncIterator[float]:
    """Let the fronts record for a time, and wait until everything is stored; yield the seconds that are left.

    Without a length, wait for the recording that is going on, if there is one. Raises TakeoverRefused without a
    takeover, StorageUnavailable or Overloaded.
    """
    if length is not None and await recordings.start(clock.now(), clock.now() + length) is None:
        raise TakeoverRefused("There is no takeover here. Run `pglambda takeover copy` first: it copies the scripts.")
    recording = await recordings.recording()
    if recording is None or recording.until <= clock.now():
        return
    stored_at = recording.until + _STORED_AFTER
    while (left_s := (stored_at - clock.now()).total_seconds()) > 0:
        yield left_s
        await sleep(min(left_s, _LOOK_EACH_S))


@frozen
class Sandboxes:
    """What runs scripts on this host, and what examines them."""

    runners: Mapping[Language, ScriptRunner]
    examiner: ScriptExaminer


@frozen
class RehearsedBatch:
    """How calls ended here, and the number of those whose session has no copy with a script any more."""

    judgements: Sequence[Judgement]
    uncopied: int = 0


@define(eq=False)
class Rehearser:
    """Runs each recorded call once under each convention, and again where it does not end as at the origin.

    An execution has the context and the limits of the session's copy, and the id of the session. It is not recorded or
    counted, and its worker ends with it. Nothing of the payloads leaves this object but sizes and pointers.
    """

    _recordings: RecordingStore
    _copies: TakeoverStore
    _clock: Clock
    _ids: IdGenerator
    _sandboxes: Sandboxes
    _sleep: Sleep = asyncio.sleep
    _codes: dict[str, Sequence[str]] = field(factory=dict, init=False)

    async def run(self, *, dry_run: bool) -> AsyncIterator[RehearsedBatch]:
        """Yield how the calls without a judgement ended, batch by batch, each stored before it is yielded.

        A dry run stores none. Neither is one stored that was skipped, so the next rehearsal tries it again. Raises
        StorageUnavailable or Overloaded.
        """
        after: UUID | None = None
        while calls := await self._recordings.unjudged(after, _PAGE):
            after = calls[-1].call_id
            batch = await self._batch(calls)
            done = [each for each in batch.judgements if not each.is_skipped]
            if done and not dry_run:
                await self._recordings.judge(done)
            yield batch

    async def _batch(self, calls: Sequence[RecordedCall]) -> RehearsedBatch:
        found = await self._copies.inbound(list({call.session_id for call in calls}))
        copies = {each.session.ref.session_id: each for each in found}
        slots = asyncio.Semaphore(_AT_ONCE)
        wanted = [
            (call, copy, script) for call in calls if (copy := copies.get(call.session_id)) and (script := copy.script)
        ]
        for _, copy, script in wanted:  # one at a time, as the examiner needs it
            await self._examine(copy.session.language_title.language, script)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._judgement(*each, slots)) for each in wanted]
        return RehearsedBatch([task.result() for task in tasks], len(calls) - len(wanted))

    async def _judgement(
        self, call: RecordedCall, copy: InboundSession, script: Script, slots: asyncio.Semaphore
    ) -> Judgement:
        run = partial(self._run, call, copy, script, slots)
        ends = {convention: await run(convention) for convention in REHEARSED}
        again = [convention for convention, end in ends.items() if end.answer.verdict in _NOT_AS_THERE]
        if again:
            await self._sleep(REPEATED_AFTER_S)
            for convention in again:
                ends[convention] = _settled(ends[convention], await run(convention), script.source)
        language = copy.session.language_title.language
        return Judgement(
            call.call_id,
            call.session_id,
            language,
            script.hash,
            len(call.params.encode()),
            None if call.result is None else len(call.result.encode()),
            {convention: end.answer for convention, end in ends.items()},
            self._codes[script.hash],
        )

    async def _run(
        self,
        call: RecordedCall,
        copy: InboundSession,
        script: Script,
        slots: asyncio.Semaphore,
        convention: Convention,
    ) -> "_End":
        """Run a call once, and compare its end with that at the origin."""

        async def source() -> Script:
            return script

        session = copy.session
        run = ScriptRun(
            ref=session.ref,
            execution_id=self._ids.new(self._clock.now()),
            language=session.language_title.language,
            limits=evolve(session.limits, isolation=Isolation.PROCESS),
            session_left=_SESSION_LEFT,
            script_hash=script.hash,
            context=session.context,
            params=call.params,
            source=source,
            convention=convention,
        )
        async with slots:
            try:
                return _ended(call, await _report(self._sandboxes.runners[run.language], run), script.source)
            except (Overloaded, RuntimeUnavailable, ExecutionUnknown) as error:
                return _End(Answer(CallVerdict.SKIPPED, error=error.code), None)

    async def _examine(self, language: Language, script: Script) -> None:
        """Note the codes of what an examination finds; none where the sandbox cannot examine the script."""
        if script.hash in self._codes:
            return
        found: set[str] = {"P1"} if form_of(language, script.source) is ScriptForm.HANDLE else set()
        with contextlib.suppress(RuntimeUnavailable):
            (findings,) = await self._sandboxes.examiner.examine(language, [script.source])
            found |= {finding.code for finding in findings or ()}
        self._codes[script.hash] = sorted(found)


@frozen
class _End:
    """How a call ended here. `value` is the decoded result, or the error."""

    answer: Answer
    value: object


async def _report(runner: ScriptRunner, run: ScriptRun) -> ScriptReport:
    worker = await runner.acquire(run)
    try:
        late = partial(ExecutionUnknown, "the runtime did not respond in time")
        return await Budget(run.limits.timeout_ms / 1000 + _OVERHEAD_S).spend(worker.run(), late)
    finally:
        await worker.release()


def _ended(call: RecordedCall, report: ScriptReport, source: str) -> _End:
    if report.failure is not None:
        error = _error(report.failure, source)
        return _End(Answer(CallVerdict.SAME if call.result is None else CallVerdict.FAILS, error=error), error)
    here = None if report.result is None else json.loads(report.result)
    if call.result is None:
        return _End(Answer(CallVerdict.WORKS), here)
    found = compared(json.loads(call.result), here, source)
    verdict = CallVerdict.SAME if found.pointer is None else CallVerdict.DIFFERS
    return _End(Answer(verdict, found.pointer, notes=found.notes), here)


def _error(failure: Failure, source: str) -> str:
    """Return the code of a failure with the name of the script's error, if nothing of the payload can be in it."""
    name = failure.name
    if name is None:
        return failure.code
    return f"{failure.code} {name if _USUAL_NAME.fullmatch(name) or is_word_of(source, name) else '*'}"


def _settled(first: _End, second: _End, source: str) -> _End:
    """Return the end of a call that was run twice; one that ended differently varies."""
    if second.answer.verdict is CallVerdict.SKIPPED:
        return second
    found = compared(first.value, second.value, source)
    if first.answer.verdict is second.answer.verdict and found.pointer is None:
        return first
    return _End(Answer(CallVerdict.VARIES, found.pointer, first.answer.error or second.answer.error), second.value)
