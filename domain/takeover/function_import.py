"""Registers the functions of the origin here. Repeating it changes nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from attrs import define, evolve, frozen

from domain.audit import ActName, Actor, new_act
from domain.clock import Clock, IdGenerator
from domain.functions.examples import ExampleRuns, misfits
from domain.functions.function import EXAMPLES_MAX, EXAMPLES_SIZE_MAX, Definition, Example, Function, FunctionNotFound
from domain.functions.ports import FunctionLookup, FunctionRepository, SchemaCompiler
from domain.functions.schema import FunctionSchema, SchemaRefused
from domain.identity import Owner
from domain.scripts.convention import Convention
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.ports import ScriptRunner
from domain.scripts.script import InputForm, Script, ScriptSyntaxError
from domain.takeover.functions import FunctionFlag, FunctionOffer, FunctionReason, FunctionRow, LeftFunction, offered
from domain.takeover.languages import OriginLanguages

_READINGS = 2
"""Readings of an example at most."""

_CONVENTION_FLAGS = {
    Convention.EVENT_FIRST: FunctionFlag.EVENT_FIRST,
    Convention.ORIGIN: FunctionFlag.CONVENTION_ORIGIN,
}


class FunctionReader(Protocol):
    """Reads the functions of the origin. Each method is one short transaction.

    It may raise SourceUnavailable or SourceRefused.
    """

    async def page(self, after: str, size: int) -> Sequence[FunctionRow]:
        """Return at most `size` functions in the order of their titles, behind the title `after`."""
        ...


class ImportOutcome(StrEnum):
    """What became of a function: a new one, a new version, or nothing new, as a stored version is equal."""

    NEW = "new"
    NEXT_VERSION = "next_version"
    UNCHANGED = "unchanged"


@frozen
class ImportedFunction:
    """A function that is registered here, or would be in a dry run."""

    language_title: LanguageTitle
    outcome: ImportOutcome
    version: int
    convention: Convention
    examples: int
    flags: tuple[FunctionFlag, ...]


@define(eq=False)
class FunctionImporter:
    """Registers functions for one owner; no quota applies, because the operator chooses them."""

    _functions: FunctionRepository
    _schemas: SchemaCompiler
    _runners: Mapping[Language, ScriptRunner]
    _examples: ExampleRuns
    _clock: Clock
    _ids: IdGenerator
    _actor: Actor
    _owner: Owner
    _languages: OriginLanguages
    _script_size_max: int

    async def add(self, row: FunctionRow, *, dry_run: bool = False) -> ImportedFunction | LeftFunction:
        """Register a function, unless a version of it here has the same script, schema and convention.

        Its examples are run in the sandbox, and those that hold are kept. Raises RuntimeUnavailable, Overloaded,
        ExecutionUnknown, FunctionConflict or StorageUnavailable; repeating it is safe.
        """
        offer = offered(row, self._languages, self._script_size_max)
        if isinstance(offer, LeftFunction):
            return offer
        runner = self._runners.get(offer.language_title.language)
        if runner is None:
            return LeftFunction(row.language_title, FunctionReason.LANGUAGE_NOT_SERVED)
        script = Script.of(offer.source, self._script_size_max)
        try:
            convention = await self._convention(runner, offer.language_title.language, script)
        except ScriptSyntaxError as error:
            return LeftFunction(row.language_title, FunctionReason.SYNTAX_ERROR, error.message)
        return await self._register(offer, await self._definition(offer, script, convention), dry_run=dry_run)

    async def _convention(self, runner: ScriptRunner, language: Language, script: Script) -> Convention:
        """Return the convention for which the script was written, as far as it shows; raises ScriptSyntaxError."""
        try:
            form = await runner.check(language, script, self._owner, Convention.OWN)
        except ScriptSyntaxError:
            await runner.check(language, script, self._owner, Convention.ORIGIN)
            return Convention.ORIGIN
        return Convention.EVENT_FIRST if form is InputForm.EVENT_IN_CONTEXT else Convention.OWN

    async def _definition(self, offer: FunctionOffer, script: Script, convention: Convention) -> Definition:
        bare = Definition(script, offer.description, await self._schema(offer.schema), (), offer.tags, convention)
        return evolve(bare, examples=await self._holding(offer, bare))

    async def _schema(self, schema: FunctionSchema) -> FunctionSchema:
        """Return the schema; an empty one if a part of it is refused."""
        try:
            for text in (schema.params, schema.result):
                if text is not None:
                    await self._schemas.compile(text)
        except SchemaRefused:
            return FunctionSchema()
        return schema

    async def _holding(self, offer: FunctionOffer, bare: Definition) -> tuple[Example, ...]:
        """Return the examples that hold, each in the first of its readings that does."""
        held: dict[int, Example] = {}
        for reading in range(_READINGS):
            tried = {
                place: readings[reading]
                for place, readings in enumerate(offer.examples[:EXAMPLES_MAX])
                if place not in held and reading < len(readings)
            }
            fitting = [(place, example) for place, example in tried.items() if await self._fits(example, bare.schema)]
            judged = evolve(bare, examples=tuple(example for _, example in fitting))
            outcomes = await self._examples.judge(self._owner, offer.language_title, judged)
            held |= {place: each.example for (place, _), each in zip(fitting, outcomes, strict=True) if each.holds}
        return tuple(_within(held[place] for place in sorted(held)))

    async def _fits(self, example: Example, schema: FunctionSchema) -> bool:
        params, result = [
            None if text is None else await self._schemas.compile(text) for text in (schema.params, schema.result)
        ]
        return not await misfits((example,), params, result)

    async def _register(
        self, offer: FunctionOffer, definition: Definition, *, dry_run: bool
    ) -> ImportedFunction | LeftFunction:
        title, stored = offer.language_title, await self._stored(offer.language_title)
        made = ImportedFunction(
            language_title=title,
            outcome=ImportOutcome.NEW if stored is None else ImportOutcome.NEXT_VERSION,
            version=1 if stored is None else stored.version + 1,
            convention=definition.convention,
            examples=len(definition.examples),
            flags=tuple(_flags(offer, definition)),
        )
        if stored is not None and await self._has(stored, definition):
            return evolve(made, outcome=ImportOutcome.UNCHANGED, version=stored.version)
        if stored is not None and stored.deactivated_at is None and not offer.is_active:
            return LeftFunction(str(title), FunctionReason.NAME_TAKEN)
        if dry_run:
            return made
        return evolve(made, version=(await self._update(offer, definition)).version)

    async def _update(self, offer: FunctionOffer, definition: Definition) -> Function:
        now = self._clock.now()
        new = _new_function(offer, definition, self._owner, self._ids, now)

        def change(stored: Function | None) -> Function:
            if stored is None:
                return new
            version = stored.version + 1
            return evolve(
                stored,
                definition=definition,
                version=version,
                type=offer.type,
                updated_at=now,
                author=None,
                deactivated_at=new.deactivated_at,
            )

        act = new_act(self._clock, self._ids, self._actor, ActName.FUNCTIONS_PUT)
        return await self._functions.update(self._owner, offer.language_title, change, act)

    async def _stored(self, title: LanguageTitle) -> Function | None:
        try:
            return await self._functions.find(FunctionLookup.exact(self._owner, title))
        except FunctionNotFound:
            return None

    async def _has(self, stored: Function, definition: Definition) -> bool:
        """Return whether a version that is kept has the same script, schema and convention: it was imported before."""
        for version in await self._functions.versions(stored.function_id):
            if version.script_hash == definition.script.hash:
                lookup = FunctionLookup.exact(self._owner, stored.language_title, version.version)
                kept = (await self._functions.find(lookup)).definition
                if evolve(kept, description="", tags=(), examples=()).same(
                    evolve(definition, description="", tags=(), examples=())
                ):
                    return True
        return False


def _new_function(
    offer: FunctionOffer, definition: Definition, owner: Owner, ids: IdGenerator, now: datetime
) -> Function:
    """Return the first version, with the times of the origin."""
    updated_at = offer.updated_at or now
    return Function(
        function_id=ids.new(now),
        owner=owner,
        language_title=offer.language_title,
        definition=definition,
        created_at=min(offer.created_at or now, updated_at),
        updated_at=updated_at,
        type=offer.type,
        deactivated_at=None if offer.is_active else now,
    )


def _flags(offer: FunctionOffer, definition: Definition) -> Sequence[FunctionFlag]:
    flags = list(offer.flags)
    if definition.convention in _CONVENTION_FLAGS:
        flags.insert(0, _CONVENTION_FLAGS[definition.convention])
    if definition.schema != offer.schema:
        flags.append(FunctionFlag.SCHEMA_REFUSED)
    if len(definition.examples) < len(offer.examples):
        flags.append(FunctionFlag.EXAMPLES_DROPPED)
    return flags


def _within(examples: Iterable[Example]) -> Iterator[Example]:
    """Yield the first examples that are together within the bytes that a function may have."""
    size = 0
    for example in examples:
        size += len(example.params.encode()) + len(example.result.encode())
        if size > EXAMPLES_SIZE_MAX:
            return
        yield example
