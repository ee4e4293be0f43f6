"""What callers do with functions: register, read, list, check and deactivate them."""

from collections.abc import Mapping

from attrs import define, field, frozen

from domain.clock import Clock
from domain.concurrency.budget import Budget
from domain.errors import InvalidRequest, Problem, StorageUnavailable
from domain.functions.examples import ExampleOutcome, ExampleRuns, misfits
from domain.functions.function import Definition, Example, Function, FunctionNotFound, Precondition
from domain.functions.ports import FunctionFilter, FunctionPage, FunctionRepository
from domain.functions.schema import FunctionSchema, SchemaRefused, told, within
from domain.functions.schema_ports import Schema, SchemaCompiler
from domain.identity import Owner
from domain.json_text import JsonText
from domain.scripts.language import Language, LanguageMapping, LanguageTitle
from domain.scripts.ports import ScriptRunner
from domain.scripts.script import Script
from domain.scripts.syntax_check import parsed


@frozen
class FunctionPolicy:
    """The size of a script in bytes, and what everything but running examples may take, in seconds."""

    script_size_max: int
    request_timeout_s: float


@frozen
class FunctionRequest:
    """What to register."""

    script_content: str = field(repr=False)
    description: str = ""
    schema: FunctionSchema = field(factory=FunctionSchema)
    examples: tuple[Example, ...] = ()
    tags: tuple[str, ...] = ()


@frozen
class Registered:
    """A function as it was registered, and whether there was none before."""

    function: Function
    created: bool


@frozen
class CheckedFunction:
    """A function, and what became of its examples."""

    function: Function
    verdicts: tuple[ExampleOutcome, ...]


@define(eq=False)
class ExamplesFailed(InvalidRequest):
    """Examples do not hold, and it was asked for that they do; nothing was registered."""

    @property
    def message(self) -> str:
        return f"Examples do not hold, so nothing was registered. {told(self.problems)}"


@define
class FunctionService:
    """The use cases of functions. Every method may raise StorageUnavailable or Overloaded.

    Names are resolved as for sessions: each may also raise InvalidLanguageTitle or LanguageNotServed.
    """

    _clock: Clock
    _functions: FunctionRepository
    _schemas: SchemaCompiler
    _runners: Mapping[Language, ScriptRunner]
    _examples: ExampleRuns
    _mapping: LanguageMapping
    _policy: FunctionPolicy

    async def register(
        self, owner: Owner, name: str, request: FunctionRequest, condition: Precondition, *, check: bool
    ) -> Registered:
        """Register a function, or replace it by its next version, if the condition holds of it.

        With `check`, all of its examples must hold. What is registered so already changes nothing. Raises
        InvalidRequest (schemas, examples that do not fit them), ExamplesFailed, FieldTooLarge, ScriptSyntaxError,
        FunctionConditionFailed, FunctionConflict, RuntimeUnavailable or ExecutionUnknown.
        """
        title, budget = self._mapping.resolve(name), self._budget()
        made = await self._definition(request)
        await parsed(self._runners[title.language], title.language, made.script, owner, budget)
        if check:
            await self._require_examples(owner, title, made)
        now, created = self._clock.now(), False

        def change(stored: Function | None) -> Function:
            nonlocal created
            condition.require(title, stored)
            created = stored is None or stored.deactivated_at is not None
            return Function(title, made, now, now) if stored is None else stored.replace(made, now)

        return Registered(await budget.spend(self._functions.update(title, change), _write_late), created)

    async def get(self, name: str) -> Function:
        """Return a registered function; raises FunctionNotFound."""
        function = await self._budget().spend(self._functions.get(self._mapping.resolve(name)), StorageUnavailable)
        function.require_registered()
        return function

    async def list(self, wanted: FunctionFilter, offset: int, size: int) -> FunctionPage:
        """Return at most `size` registered functions after the first `offset`, and how many there are in all."""
        return await self._budget().spend(self._functions.page(wanted, offset, size), StorageUnavailable)

    async def check(self, owner: Owner, name: str) -> CheckedFunction:
        """Run the examples of a registered function.

        Raises FunctionNotFound, RuntimeUnavailable or ExecutionUnknown.
        """
        function = await self.get(name)
        verdicts = await self._examples.judge(owner, function.language_title, function.definition)
        return CheckedFunction(function, verdicts)

    async def deactivate(self, name: str, condition: Precondition) -> None:
        """Deactivate a function, if the condition holds of it; doing so again changes nothing.

        Raises FunctionNotFound, FunctionConditionFailed or FunctionConflict.
        """
        title, now = self._mapping.resolve(name), self._clock.now()

        def change(stored: Function | None) -> Function:
            condition.require(title, stored)
            if stored is None:
                raise FunctionNotFound(title)
            return stored.deactivate(now)

        await self._budget().spend(self._functions.update(title, change), _write_late)

    def _budget(self) -> Budget:
        return Budget(self._policy.request_timeout_s)

    async def _definition(self, request: FunctionRequest) -> Definition:
        script = Script.of(request.script_content, self._policy.script_size_max)
        params, problems = await self._compiled(request.schema.params, "/schema/params")
        result, more = await self._compiled(request.schema.result, "/schema/result")
        problems += more
        problems += await misfits(request.examples, params, result)
        if problems:
            raise InvalidRequest(problems)  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter
        return Definition(script, request.description, request.schema, request.examples, request.tags)

    async def _compiled(self, text: JsonText | None, pointer: str) -> tuple[Schema | None, tuple[Problem, ...]]:
        try:
            return (None if text is None else await self._schemas.compile(text)), ()
        except SchemaRefused as error:
            return None, within(error.problems, pointer)

    async def _require_examples(self, owner: Owner, title: LanguageTitle, made: Definition) -> None:
        verdicts = await self._examples.judge(owner, title, made)
        problems = [Problem(f"/examples/{n}", verdict.reason) for n, verdict in enumerate(verdicts) if verdict.reason]
        if problems:
            raise ExamplesFailed(problems)  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter


def _write_late() -> StorageUnavailable:
    return StorageUnavailable(stored="unknown", retry_after_ms=None)
