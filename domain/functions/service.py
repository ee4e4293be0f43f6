"""The use cases of functions: register, read, list, check and deactivate them, and check params against them."""

from collections.abc import Mapping

from attrs import define, field, frozen

from domain.clock import Clock
from domain.concurrency.budget import Budget
from domain.errors import InvalidRequest, Problem, StorageUnavailable
from domain.functions.examples import ExampleOutcome, ExampleRuns, misfits
from domain.functions.function import Definition, Example, Function, FunctionNotFound, Precondition
from domain.functions.ports import FunctionFilter, FunctionPage, FunctionRepository, Schema, SchemaCompiler
from domain.functions.schema import FunctionSchema, ParamsRefused, SchemaRefused, SchemaUnusable, in_one_line, within
from domain.identity import Owner
from domain.json_text import JsonText
from domain.scripts.language import Language, LanguageMapping, LanguageTitle
from domain.scripts.ports import ScriptRunner
from domain.scripts.script import Script
from domain.scripts.syntax_check import parsed


@frozen
class FunctionPolicy:
    """The maximum size of a script in bytes, and the time in seconds for everything but running examples."""

    script_size_max: int
    request_timeout_s: float


@frozen
class FunctionRequest:
    """A function to register."""

    script_content: str = field(repr=False)
    description: str = ""
    schema: FunctionSchema = field(factory=FunctionSchema)
    examples: tuple[Example, ...] = ()
    tags: tuple[str, ...] = ()


@frozen
class Registered:
    """A registered function, and whether the title was free before."""

    function: Function
    created: bool


@frozen
class CheckedFunction:
    """A function, and the outcomes of its examples."""

    function: Function
    outcomes: tuple[ExampleOutcome, ...]


@define(eq=False)
class ExamplesFailed(InvalidRequest):
    """The caller required that the examples hold, and some do not; nothing was registered."""

    @property
    def message(self) -> str:
        return (
            f"Examples do not hold, so nothing was registered. Correct the script or the examples. "
            f"{in_one_line(self.problems)}"
        )


@define
class FunctionService:
    """The use cases of functions. Every method may raise StorageUnavailable or Overloaded.

    Names are resolved as for sessions: every method may also raise InvalidLanguageTitle or LanguageNotServed.
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
        """Register a function, or replace it by its next version, if the condition holds.

        With `check`, all examples must hold. Registering the same definition again changes nothing. Raises
        InvalidRequest (schemas, or examples that do not fit them), ExamplesFailed, FieldTooLarge, ScriptSyntaxError,
        FunctionConditionFailed, FunctionConflict, RuntimeUnavailable or ExecutionUnknown.
        """
        title, budget = self._mapping.resolve(name), self._budget()
        definition = await self._definition(request)
        await parsed(self._runners[title.language], title.language, definition.script, owner, budget)
        if check:
            await self._require_examples(owner, title, definition)
        now, created = self._clock.now(), False

        def change(stored: Function | None) -> Function:
            nonlocal created
            condition.require(title, stored)
            created = stored is None or stored.deactivated_at is not None
            return Function(title, definition, now, now) if stored is None else stored.replace(definition, now)

        return Registered(await budget.spend(self._functions.update(title, change), _write_late), created)

    async def get(self, name: str) -> Function:
        """Return a registered function; raises FunctionNotFound."""
        function = await self._budget().spend(self._functions.get(self._mapping.resolve(name)), StorageUnavailable)
        function.require_registered()
        return function

    async def list(self, wanted: FunctionFilter, offset: int, size: int) -> FunctionPage:
        """Return at most `size` registered functions after the first `offset`, and the number of all."""
        return await self._budget().spend(self._functions.page(wanted, offset, size), StorageUnavailable)

    async def check(self, owner: Owner, name: str) -> CheckedFunction:
        """Run the examples of a registered function.

        Raises FunctionNotFound, RuntimeUnavailable or ExecutionUnknown.
        """
        function = await self.get(name)
        outcomes = await self._examples.judge(owner, function.language_title, function.definition)
        return CheckedFunction(function, outcomes)

    async def deactivate(self, name: str, condition: Precondition) -> None:
        """Deactivate a function, if the condition holds; deactivating it again changes nothing.

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

    async def _require_examples(self, owner: Owner, title: LanguageTitle, definition: Definition) -> None:
        outcomes = await self._examples.judge(owner, title, definition)
        problems = [Problem(f"/examples/{n}", outcome.reason) for n, outcome in enumerate(outcomes) if outcome.reason]
        if problems:
            raise ExamplesFailed(problems)  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter


@define
class ParamsCheck:
    """Checks params against the schema of the function version that their session is pinned to."""

    _functions: FunctionRepository
    _schemas: SchemaCompiler

    async def require(self, title: LanguageTitle, version: int, params: JsonText) -> None:
        """Raise ParamsRefused unless the params fit.

        Raises FunctionVersionNotFound, StorageUnavailable or Overloaded if the schema cannot be read, SchemaUnusable if
        this release does not accept it.
        """
        text = (await self._functions.schema(title, version)).params
        if text is None:
            return
        try:
            schema = await self._schemas.compile(text)
        except SchemaRefused as error:
            raise SchemaUnusable(title, version, error.in_one_line) from error
        problems = schema.problems(params)
        if problems:
            raise ParamsRefused(within(problems, "/params"), title, version)  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter


def _write_late() -> StorageUnavailable:
    return StorageUnavailable(stored="unknown", retry_after_ms=None)
