"""The contract of FunctionRepository."""

import asyncio
from abc import ABC, abstractmethod
from datetime import datetime, timedelta

import pytest

from adapters.memory.manual_clock import ManualClock
from domain.functions.function import Definition, Example, Function, FunctionNotFound, FunctionSummary, FunctionType
from domain.functions.ports import FunctionFilter, FunctionPage, FunctionRepository
from domain.functions.schema import FunctionSchema, FunctionVersionNotFound
from domain.json_text import JsonText
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.script import Script

ADDER = LanguageTitle(Language.NODEJS, "adder")
HOUR = timedelta(hours=1)
MADE = Definition(
    Script.of('return "ä\\n{,}\'" + event.params.a;', 1000),
    'Adds {"quoted", ä}\n',
    FunctionSchema(JsonText('{"type": "object"}'), JsonText("true")),
    (Example(JsonText('{"a": "\\u0000"}'), JsonText("1e3")), Example(JsonText("[]"), JsonText("null"))),
    ('a "tag"', "b,c"),
)
OTHER = Definition(Script.of("return 2;", 1000))


class _Refused(Exception):
    pass


def refuse(_: Function | None) -> Function:
    raise _Refused


class FunctionRepositoryContract(ABC):
    now = ManualClock().now()

    @pytest.fixture
    @abstractmethod
    def functions(self) -> FunctionRepository:
        """Without any function."""

    def function(self, title: LanguageTitle = ADDER, made: Definition = MADE, at: datetime | None = None) -> Function:
        return Function(title, made, at or self.now, at or self.now)

    async def add(self, functions: FunctionRepository, title: LanguageTitle = ADDER) -> Function:
        return await functions.update(title, lambda _: self.function(title))

    async def replace(
        self, functions: FunctionRepository, made: Definition = OTHER, title: LanguageTitle = ADDER
    ) -> Function:
        def change(stored: Function | None) -> Function:
            assert stored is not None
            return stored.replace(made, self.now + HOUR)

        return await functions.update(title, change)

    async def deactivate(self, functions: FunctionRepository, title: LanguageTitle = ADDER) -> Function:
        def change(stored: Function | None) -> Function:
            assert stored is not None
            return stored.deactivate(self.now + HOUR)

        return await functions.update(title, change)

    async def test_a_function_is_found_as_it_was_stored(self, functions):
        assert await self.add(functions) == self.function()
        assert await functions.get(ADDER) == self.function()
        assert await functions.schema(ADDER, 1) == MADE.schema

    async def test_a_function_without_schema_has_none(self, functions):
        await functions.update(ADDER, lambda _: self.function(made=OTHER))
        assert (await functions.get(ADDER)).definition == OTHER
        assert await functions.schema(ADDER, 1) == FunctionSchema()

    async def test_a_function_that_was_never_registered_is_not_found(self, functions):
        await self.add(functions)
        for title in (LanguageTitle(Language.PYTHON, "adder"), LanguageTitle(Language.NODEJS, "Adder")):
            with pytest.raises(FunctionNotFound) as caught:
                await functions.get(title)
            assert caught.value.language_title == title
            with pytest.raises(FunctionVersionNotFound):
                await functions.schema(title, 1)

    async def test_a_change_gets_the_stored_function(self, functions):
        seen: list[Function | None] = []

        def change(stored: Function | None) -> Function:
            seen.append(stored)
            return self.function() if stored is None else stored.replace(OTHER, self.now)

        await functions.update(ADDER, change)
        await functions.update(ADDER, change)
        assert seen == [None, self.function()]

    async def test_a_replacement_is_the_next_version_and_the_first_one_stays(self, functions):
        await self.add(functions)
        replaced = await self.replace(functions)
        assert (replaced.version, replaced.created_at, replaced.updated_at) == (2, self.now, self.now + HOUR)
        assert await functions.get(ADDER) == replaced
        assert await functions.schema(ADDER, 1) == MADE.schema
        assert await functions.schema(ADDER, 2) == OTHER.schema

    async def test_a_version_is_found_from_its_registration_on(self, functions):
        await self.add(functions)
        with pytest.raises(FunctionVersionNotFound) as caught:
            await functions.schema(ADDER, 2)
        assert (caught.value.language_title, caught.value.version) == (ADDER, 2)
        await self.replace(functions)
        assert await functions.schema(ADDER, 2) == OTHER.schema

    async def test_a_change_that_raises_stores_nothing(self, functions):
        with pytest.raises(_Refused):
            await functions.update(ADDER, refuse)
        with pytest.raises(FunctionNotFound):
            await functions.get(ADDER)

    async def test_a_change_that_returns_its_argument_stores_nothing(self, functions):
        await self.add(functions)
        assert await self.replace(functions, MADE) == self.function()
        assert await functions.get(ADDER) == self.function()

    async def test_a_deactivated_function_and_its_versions_are_found(self, functions):
        await self.add(functions)
        deactivated = await self.deactivate(functions)
        assert deactivated.deactivated_at == self.now + HOUR
        assert await functions.get(ADDER) == deactivated
        assert await functions.schema(ADDER, 1) == MADE.schema

    async def test_a_deactivated_function_continues_with_the_next_version(self, functions):
        await self.add(functions)
        await self.deactivate(functions)
        again = await self.replace(functions, MADE)
        assert (again.version, again.deactivated_at) == (2, None)
        assert await functions.get(ADDER) == again

    async def test_each_concurrent_update_sees_the_one_before_it(self, functions):
        def change(stored: Function | None) -> Function:
            if stored is None:
                return self.function()
            source = f"{stored.definition.script.source}{stored.version}"
            return stored.replace(Definition(Script.of(source, 1000)), self.now)

        changed = await asyncio.gather(*(functions.update(ADDER, change) for _ in range(6)))
        assert sorted(function.version for function in changed) == [1, 2, 3, 4, 5, 6]
        assert (await functions.get(ADDER)).definition.script.source == f"{MADE.script.source}12345"

    async def test_pages_are_sorted_by_title_and_have_the_total(self, functions):
        titles = [LanguageTitle(Language.PYTHON, "a"), LanguageTitle(Language.NODEJS, "z"), ADDER]
        for title in titles:
            await self.add(functions, title)
        everything = await functions.page(FunctionFilter(), 0, 10)
        wanted = [FunctionSummary.of(self.function(title)) for title in (ADDER, titles[1], titles[0])]
        assert everything == FunctionPage(3, wanted)
        assert await functions.page(FunctionFilter(), 0, 2) == FunctionPage(3, wanted[:2])
        assert await functions.page(FunctionFilter(), 2, 2) == FunctionPage(3, wanted[2:])
        assert await functions.page(FunctionFilter(), 4, 2) == FunctionPage(3, [])

    async def test_pages_show_one_language_or_one_type(self, functions):
        python = LanguageTitle(Language.PYTHON, "a")
        await self.add(functions, python)
        await self.add(functions)
        assert (await functions.page(FunctionFilter(Language.PYTHON), 0, 10)).items == [
            FunctionSummary.of(self.function(python))
        ]
        dynamic = FunctionFilter(Language.NODEJS, FunctionType.DYNAMIC)
        assert (await functions.page(dynamic, 0, 10)).total == 1
        assert await functions.page(FunctionFilter(type=FunctionType.PREDEFINED), 0, 10) == FunctionPage(0, [])

    async def test_pages_show_current_versions_and_no_deactivated_function(self, functions):
        python = LanguageTitle(Language.PYTHON, "a")
        await self.add(functions, python)
        await self.add(functions)
        replaced = await self.replace(functions)
        await self.deactivate(functions, python)
        assert await functions.page(FunctionFilter(), 0, 10) == FunctionPage(1, [FunctionSummary.of(replaced)])
