"""Running the examples of a function, to see whether they hold."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from attrs import define, evolve, frozen

from domain.clock import Clock, IdGenerator
from domain.concurrency.background_tasks import BackgroundTasks
from domain.errors import Problem
from domain.functions.function import Definition, Example
from domain.functions.schema import told, within
from domain.functions.schema_ports import Schema, SchemaCompiler
from domain.identity import Owner, SessionRef
from domain.json_equality import same_json
from domain.json_text import EMPTY_OBJECT, JsonText
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.limits import Limits
from domain.scripts.ports import ScriptRun, ScriptRunner
from domain.scripts.report import ExecutionUnknown, ScriptReport
from domain.scripts.script import Script

_QUOTED_LENGTH_MAX = 200


@frozen
class ExamplePolicy:
    """Limits of each example, and times in seconds: of all together, and what a runtime may add to a script's own limit."""

    limits: Limits
    total_s: float
    run_overhead_s: float


@frozen
class ExampleOutcome:
    """What became of an example: it holds unless there is a `reason` why not; without a report it was not run."""

    example: Example
    report: ScriptReport | None
    reason: str | None

    @property
    def holds(self) -> bool:
        """Whether the example gave the result that it says."""
        return self.reason is None


@define
class ExampleRuns:
    """Runs examples in the sandbox, in a session that exists for this alone and is in no database."""

    _clock: Clock
    _ids: IdGenerator
    _schemas: SchemaCompiler
    _runners: Mapping[Language, ScriptRunner]
    _policy: ExamplePolicy
    _tasks: BackgroundTasks

    async def judge(self, owner: Owner, title: LanguageTitle, made: Definition) -> tuple[ExampleOutcome, ...]:
        """Run the examples one after the other, and return what became of each, in their order.

        Raises RuntimeUnavailable, Overloaded, ExecutionUnknown or SchemaRefused.
        """
        wanted = made.schema.result
        schema = None if wanted is None else await self._schemas.compile(wanted)
        runner = self._runners[title.language]
        ref = SessionRef(owner, self._ids.new(self._clock.now()))
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._policy.total_s
        verdicts = []
        try:
            for example in made.examples:
                run = self._run(ref, title, made.script, example, until_s - loop.time())
                verdicts.append(await self._verdict(runner, run, example, schema))
        finally:
            self._tasks.spawn(runner.evict(ref.session_id))
        return tuple(verdicts)

    def _run(
        self, ref: SessionRef, title: LanguageTitle, script: Script, example: Example, left_s: float
    ) -> ScriptRun | None:
        """Return the run, within the time that is left; None when there is none."""
        if left_s <= 0:
            return None
        limits = evolve(self._policy.limits, timeout_ms=max(1, min(self._policy.limits.timeout_ms, int(left_s * 1000))))

        async def source() -> Script:
            return script

        return ScriptRun(
            ref=ref,
            execution_id=self._ids.new(self._clock.now()),
            language=title.language,
            limits=limits,
            session_left=timedelta(seconds=self._policy.total_s + self._policy.run_overhead_s),
            script_hash=script.hash,
            context=EMPTY_OBJECT,
            params=example.params,
            source=source,
        )

    async def _verdict(
        self, runner: ScriptRunner, run: ScriptRun | None, example: Example, schema: Schema | None
    ) -> ExampleOutcome:
        if run is None:
            reason = f"was not run: the examples together may take {self._policy.total_s:g} seconds"
            return ExampleOutcome(example, None, reason)
        worker = await runner.acquire(run)
        try:
            async with asyncio.timeout(run.limits.timeout_ms / 1000 + self._policy.run_overhead_s):
                report = await worker.run()
        except TimeoutError:
            raise ExecutionUnknown("the runtime did not answer in time") from None
        finally:
            await worker.release()
        return ExampleOutcome(example, report, _reason(example, report, schema))


async def misfits(examples: tuple[Example, ...], params: Schema | None, result: Schema | None) -> tuple[Problem, ...]:
    """Return the problems of examples that do not fit their schemas, by JSON pointer into the request.

    A check may take long, so other tasks run after each.
    """
    found: list[Problem] = []
    for n, example in enumerate(examples):
        for schema, part, text in ((params, "params", example.params), (result, "result", example.result)):
            found += within(() if schema is None else schema.problems(text), f"/examples/{n}/{part}")
            await asyncio.sleep(0)
    return tuple(found)


def _reason(example: Example, report: ScriptReport, schema: Schema | None) -> str | None:
    """Say why the example does not hold; None when it does."""
    if report.failure is not None:
        return f"failed with {report.failure.code}: {_quoted(report.failure.summary)}"
    result = report.result or JsonText("null")
    if not same_json(result, example.result):
        return f"gave {_quoted(result)}, not {_quoted(example.result)}"
    problems = () if schema is None else schema.problems(result)
    return f"gave a result that does not fit the schema: {told(problems)}" if problems else None


def _quoted(text: str) -> str:
    return text if len(text) <= _QUOTED_LENGTH_MAX else text[:_QUOTED_LENGTH_MAX] + "…"
