"""Examples of functions: whether they fit their schemas, and whether they hold when they are run."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from attrs import define, evolve, frozen

from domain.clock import Clock, IdGenerator
from domain.concurrency.background_tasks import BackgroundTasks
from domain.environments.catalog import EnvironmentCatalog
from domain.errors import InvalidRequest, Problem
from domain.functions.function import Definition, Example
from domain.functions.ports import Schema, SchemaCompiler
from domain.functions.schema import in_one_line, within
from domain.grants.environment import EnvironmentGrant
from domain.grants.state import StateMode
from domain.identity import Owner, SessionRef
from domain.json_equality import same_json
from domain.json_text import EMPTY_OBJECT, JsonText
from domain.scripts.environment import Environment
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.limits import Limits
from domain.scripts.ports import RunState, ScriptRun, ScriptRunner
from domain.scripts.report import ExecutionUnknown, FailureCode, ScriptReport
from domain.scripts.script import Script

_QUOTED_LENGTH_MAX = 200
_CODES_OF_TIME = {FailureCode.EXECUTION_TIMEOUT, FailureCode.CPU_LIMIT}


@frozen
class ExamplePolicy:
    """Limits of each example; seconds for all examples of a function, and for a runtime beyond a script's own limit."""

    limits: Limits
    total_s: float
    run_overhead_s: float


@frozen
class ExampleOutcome:
    """The outcome of an example: it holds unless there is a `reason`; without a report it did not run."""

    example: Example
    report: ScriptReport | None
    reason: str | None

    @property
    def holds(self) -> bool:
        """Whether the example gave its result."""
        return self.reason is None


@define
class ExampleRuns:
    """Runs examples in the sandbox, in a session that exists for them alone and is not stored."""

    _clock: Clock
    _ids: IdGenerator
    _schemas: SchemaCompiler
    _runners: Mapping[Language, ScriptRunner]
    _policy: ExamplePolicy
    _tasks: BackgroundTasks
    _environments: EnvironmentCatalog | None = None
    """Finds the packages of functions; without it no example has any."""

    async def judge(self, owner: Owner, title: LanguageTitle, definition: Definition) -> tuple[ExampleOutcome, ...]:
        """Run the examples one after the other, and return their outcomes in order.

        Examples have the packages that `owner` would get. Raises RuntimeUnavailable, Overloaded, ExecutionUnknown,
        SchemaRefused, StorageUnavailable, EnvironmentNotFound, EnvironmentNotReady, or InvalidRequest for packages of
        another language.
        """
        environment = await self._environment(owner, title.language, definition)
        text = definition.schema.result
        schema = None if text is None else await self._schemas.compile(text)
        runner = self._runners[title.language]
        ref = SessionRef(owner, self._ids.new(self._clock.now()))
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._policy.total_s
        outcomes = []
        try:
            for example in definition.examples:
                run = self._run(ref, title, definition, example, until_s - loop.time())
                run = None if run is None else evolve(run, environment=environment)
                outcomes.append(await self._outcome(runner, run, example, schema))
        finally:
            self._tasks.spawn(runner.evict(ref.session_id))
        return tuple(outcomes)

    async def _environment(self, owner: Owner, language: Language, definition: Definition) -> Environment | None:
        """Return the packages of the newest version that is ready, or of the one that the function names."""
        asked = None if definition.grants is None else definition.grants.environment
        if asked is None or self._environments is None or not definition.examples:
            return None
        version = await self._environments.choose(owner, asked.name, asked.version)
        problems = tuple(EnvironmentGrant(version.name, version.version, version.language).problems(language))
        if problems:
            raise InvalidRequest(within(problems, "/environment"))  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter
        return await self._environments.find(owner, version.name, version.version)

    def _run(
        self, ref: SessionRef, title: LanguageTitle, definition: Definition, example: Example, left_s: float
    ) -> ScriptRun | None:
        """Return a run that ends within the time that is left; None if no time is left."""
        if left_s <= 0:
            return None
        limits = evolve(self._policy.limits, timeout_ms=max(1, min(self._policy.limits.timeout_ms, int(left_s * 1000))))

        async def source() -> Script:
            return definition.script

        return ScriptRun(
            ref=ref,
            execution_id=self._ids.new(self._clock.now()),
            language=title.language,
            limits=limits,
            session_left=timedelta(seconds=self._policy.total_s + self._policy.run_overhead_s),
            script_hash=definition.script.hash,
            context=EMPTY_OBJECT,
            params=example.params,
            source=source,
            convention=definition.convention,
            state=_empty_state(definition),
            secrets=_unreal_secrets(definition),
            syntax=None if definition.grants is None else definition.grants.run_syntax,
        )

    async def _outcome(
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
            raise ExecutionUnknown("the runtime did not respond in time") from None
        finally:
            await worker.release()
        report = self._explained(run, report)
        return ExampleOutcome(example, report, _reason(example, report, schema))

    def _explained(self, run: ScriptRun, report: ScriptReport) -> ScriptReport:
        """Name the limit of all examples, if that is what stopped this one, and not the limit of one execution."""
        failure = report.failure
        if failure is None or failure.code not in _CODES_OF_TIME or run.limits == self._policy.limits:
            return report
        message = (
            f"The script was stopped because the examples together may take {self._policy.total_s:g} seconds. "
            "Do less in each example, or register fewer."
        )
        return evolve(report, failure=evolve(failure, message=message))


async def misfits(examples: tuple[Example, ...], params: Schema | None, result: Schema | None) -> tuple[Problem, ...]:
    """Return the problems of examples that do not fit their schemas, by JSON pointers into the request.

    A check may take long, so other tasks run after each.
    """
    found: list[Problem] = []
    for n, example in enumerate(examples):
        for schema, part, text in ((params, "params", example.params), (result, "result", example.result)):
            found += within(() if schema is None else schema.problems(text), f"/examples/{n}/{part}")
            await asyncio.sleep(0)
    return tuple(found)


def _reason(example: Example, report: ScriptReport, schema: Schema | None) -> str | None:
    """Return why the example does not hold; None if it holds."""
    if report.failure is not None:
        return f"failed with {report.failure.code}: {_quoted(report.failure.summary)}"
    result = report.result or JsonText("null")
    if not same_json(result, example.result):
        return f"gave {_quoted(result)}, not {_quoted(example.result)}"
    problems = () if schema is None else schema.problems(result)
    return f"gave a result that does not fit the schema: {in_one_line(problems)}" if problems else None


def _quoted(text: str) -> str:
    return text if len(text) <= _QUOTED_LENGTH_MAX else text[:_QUOTED_LENGTH_MAX] + "…"


def _empty_state(definition: Definition) -> RunState | None:
    """Return the state that an example finds, if the function grants one; what it leaves is not saved."""
    grants = definition.grants
    if grants is None or grants.state is None:
        return None
    return RunState(EMPTY_OBJECT, is_shared=grants.state.mode is StateMode.SHARED, is_repl=grants.state.repl)


def _unreal_secrets(definition: Definition) -> Mapping[str, str]:
    """Return what an example finds in the place of secrets: their marks, because it runs for no owner's session."""
    grants = definition.grants
    names = () if grants is None or grants.secrets is None else grants.secrets.names
    return {name: f"[secret {name}]" for name in names}
