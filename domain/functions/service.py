"""The use cases of functions: register, read, list, check, roll back and deactivate them."""

from collections.abc import Callable, Mapping, Sequence

from attrs import define, evolve, field, frozen

from domain.audit import ActName, Actor, new_act
from domain.clock import Clock, IdGenerator
from domain.concurrency.budget import Budget
from domain.errors import InvalidRequest, Problem, StorageUnavailable, commit_unknown
from domain.functions.examples import ExampleOutcome, ExampleRuns, misfits
from domain.functions.function import (
    Definition,
    Example,
    Function,
    FunctionNotFound,
    Precondition,
)
from domain.functions.lists import FunctionFilter, FunctionPage, FunctionPlace, FunctionVersion
from domain.functions.ports import FunctionLookup, FunctionRepository, Schema, SchemaCompiler
from domain.functions.quota import FunctionQuota
from domain.functions.schema import FunctionSchema, SchemaRefused, in_one_line, within
from domain.grants.grants import Grants, asked_syntax
from domain.grants.service import GrantService, ScriptKind, with_form
from domain.identity import Owner
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import Language, LanguageMapping, LanguageTitle
from domain.scripts.ports import ScriptRunner
from domain.scripts.script import Script
from domain.scripts.syntax_check import ScriptWarning, parsed, warnings_of


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
    convention: Convention = Convention.OWN
    grants: Grants | None = None

    @classmethod
    def of(cls, definition: Definition) -> "FunctionRequest":
        """Return the request that registers a definition again."""
        source, schema, examples = definition.script.source, definition.schema, definition.examples
        convention, grants = definition.convention, definition.grants
        return cls(source, definition.description, schema, examples, definition.tags, convention, grants)


@frozen
class Write:
    """A write to a function: whose function it is, who writes from which address, and the condition under which.

    `permit` raises ScopeMissing if the author may not give a script these grants.
    """

    owner: Owner
    author: Owner
    name: str
    condition: Precondition
    origin: str
    permit: Callable[[Grants | None], None] = field(eq=False)


@frozen
class Registered:
    """A registered function, whether the title was free before, and warnings about its script."""

    function: Function
    created: bool
    warnings: tuple[ScriptWarning, ...] = ()


@frozen
class CheckedFunction:
    """A function, and the outcomes of its examples."""

    function: Function
    outcomes: tuple[ExampleOutcome, ...]

    @property
    def holds(self) -> bool | None:
        """Whether all examples hold; None without examples, as nothing was checked."""
        return all(outcome.holds for outcome in self.outcomes) if self.outcomes else None


@define(eq=False)
class ExamplesFailed(InvalidRequest):
    """The caller required that the examples hold, and some do not; nothing was registered."""

    @property
    def message(self) -> str:
        return (
            f"Examples do not hold, so nothing was registered. Correct the script or the examples. "
            f"{in_one_line(self.problems)}"
        )


@frozen
class FunctionVersions:
    """A function, and its versions that are kept, the newest first."""

    function: Function
    versions: Sequence[FunctionVersion]


@define
class FunctionService:
    """The use cases of functions. Every method may raise StorageUnavailable or Overloaded.

    Names are resolved as for sessions: every method may also raise InvalidLanguageTitle or LanguageNotServed. A read
    finds the function of the reader, or else the shared one; with an `owner`, only that owner's.
    """

    _clock: Clock
    _ids: IdGenerator
    _functions: FunctionRepository
    _schemas: SchemaCompiler
    _runners: Mapping[Language, ScriptRunner]
    _examples: ExampleRuns
    _mapping: LanguageMapping
    _policy: FunctionPolicy
    _quota: FunctionQuota
    _grants: GrantService = field(factory=GrantService)

    async def register(
        self, write: Write, request: FunctionRequest, *, check: bool, act: ActName = ActName.FUNCTIONS_PUT
    ) -> Registered:
        """Register a function, or replace it by its next version, if the condition holds.

        With `check`, all examples must hold. Registering the same definition again changes nothing. Raises
        ScopeMissing, InvalidRequest (schemas, examples that do not fit them, or grants), ExamplesFailed, FieldTooLarge,
        ScriptSyntaxError, FunctionConditionFailed, FunctionConflict, QuotaReached, RuntimeUnavailable or
        ExecutionUnknown; with `check` also EnvironmentNotFound and EnvironmentNotReady.
        """
        write.permit(request.grants)
        title, budget = self._mapping.resolve(write.name), self._budget()
        definition = await self._definition(request)
        await budget.spend(self._quota.require(write.owner, title, definition), StorageUnavailable)
        runner, convention = self._runners[title.language], definition.convention
        kind = ScriptKind(title.language, convention)
        grants = self._grants.for_function(kind, definition.grants)
        syntax = asked_syntax(grants)
        checking = runner.check(title.language, definition.script, write.author, convention, syntax)
        form = await parsed(checking, title.language, budget)
        definition = evolve(definition, grants=with_form(grants, kind, form))
        if check:
            await self._require_examples(write.author, title, definition)
        now, created = self._clock.now(), False
        new = Function(self._ids.new(now), write.owner, title, definition, now, now, author=write.author)

        def change(stored: Function | None) -> Function:
            nonlocal created
            write.condition.require(title, stored)
            created = stored is None or stored.deactivated_at is not None
            return new if stored is None else stored.replace(definition, write.author, now)

        function = await self._changed(write, title, change, budget, act)
        return Registered(function, created, warnings_of(form, convention))

    async def roll_back(self, write: Write, version: int, *, check: bool) -> Registered:
        """Register the definition of an older version as the next one, also of a deactivated function.

        Raises FunctionNotFound, FunctionVersionNotFound, and what `register` raises.
        """
        lookup = FunctionLookup.exact(write.owner, self._mapping.resolve(write.name), version)
        function = await self._budget().spend(self._functions.find(lookup), StorageUnavailable)
        request = FunctionRequest.of(function.definition)
        return await self.register(write, request, check=check, act=ActName.FUNCTIONS_ROLLBACK)

    async def get(self, reader: Owner, name: str, owner: Owner | None = None, version: int | None = None) -> Function:
        """Return a registered function, at a version or at the current one.

        Raises FunctionNotFound or FunctionVersionNotFound.
        """
        title = self._mapping.resolve(name)
        usable, exact = FunctionLookup.usable, FunctionLookup.exact
        lookup = usable(reader, title, version) if owner is None else exact(owner, title, version)
        function = await self._budget().spend(self._functions.find(lookup), StorageUnavailable)
        return function.require_registered()

    async def versions(self, reader: Owner, name: str, owner: Owner | None = None) -> FunctionVersions:
        """Return a registered function with its versions; raises FunctionNotFound."""
        function = await self.get(reader, name, owner)
        found = await self._budget().spend(self._functions.versions(function.function_id), StorageUnavailable)
        return FunctionVersions(function, found)

    async def list(self, wanted: FunctionFilter, after: FunctionPlace, size: int) -> FunctionPage:
        """Return at most `size` registered functions behind the place `after`."""
        return await self._budget().spend(self._functions.page(wanted, after, size), StorageUnavailable)

    async def check(self, reader: Owner, name: str, owner: Owner | None = None) -> CheckedFunction:
        """Run the examples of a registered function.

        Raises FunctionNotFound, RuntimeUnavailable, ExecutionUnknown, EnvironmentNotFound, EnvironmentNotReady, or
        InvalidRequest for packages of another language.
        """
        function = await self.get(reader, name, owner)
        outcomes = await self._examples.judge(reader, function.language_title, function.definition)
        return CheckedFunction(function, outcomes)

    async def deactivate(self, write: Write) -> Function:
        """Deactivate a function, if the condition holds, and return it; deactivating it again changes nothing.

        Raises FunctionNotFound, FunctionConditionFailed or FunctionConflict.
        """
        title, now = self._mapping.resolve(write.name), self._clock.now()

        def change(stored: Function | None) -> Function:
            write.condition.require(title, stored)
            if stored is None:
                raise FunctionNotFound(title, write.owner)
            return stored.deactivate(now)

        return await self._changed(write, title, change, self._budget(), ActName.FUNCTIONS_DELETE)

    def _budget(self) -> Budget:
        return Budget(self._policy.request_timeout_s)

    async def _changed(
        self,
        write: Write,
        title: LanguageTitle,
        change: Callable[[Function | None], Function],
        budget: Budget,
        name: ActName,
    ) -> Function:
        act = new_act(self._clock, self._ids, Actor(write.author, write.origin), name)
        return await budget.spend(self._functions.update(write.owner, title, change, act), commit_unknown)

    async def _definition(self, request: FunctionRequest) -> Definition:
        script = Script.of(request.script_content, self._policy.script_size_max)
        params, problems = await self._compiled(request.schema.params, "/schema/params")
        result, more = await self._compiled(request.schema.result, "/schema/result")
        problems += more
        problems += await misfits(request.examples, params, result)
        if problems:
            raise InvalidRequest(problems)  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter
        description, schema, examples, tags = request.description, request.schema, request.examples, request.tags
        return Definition(script, description, schema, examples, tags, request.convention, request.grants)

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
