"""The contract of FunctionRepository."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from domain.audit import ActName
from domain.functions.function import (
    Definition,
    Example,
    Function,
    FunctionNotFound,
    FunctionType,
    FunctionVersionNotFound,
)
from domain.functions.lists import (
    FIRST_PLACE,
    FunctionFilter,
    FunctionPage,
    FunctionPlace,
    FunctionSummary,
    FunctionVersion,
)
from domain.functions.ports import FunctionLookup, FunctionRepository, FunctionUsage
from domain.functions.schema import FunctionSchema
from domain.grants.grants import Grants
from domain.grants.state import SaveOn, StateGrant, StateMode
from domain.identity import SHARED, Owner
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.script import Script
from tests.support.acts import OPERATOR, act, recorded

ADDER = LanguageTitle(Language.NODEJS, "adder")
ALICE, BOB = Owner("alice"), Owner('bob, "the\\builder"')
HOUR = timedelta(hours=1)
VERSIONS_KEPT = 3
EXAMINED_MAX = 5
MADE = Definition(
    Script.of('return "ä\\n{,}\'" + event.params.a;', 1000),
    'Adds {"quoted", ä}\n',
    FunctionSchema(JsonText('{"type": "object"}'), JsonText("true")),
    (Example(JsonText('{"a": "\\u0000"}'), JsonText("1e3")), Example(JsonText("[]"), JsonText("null"))),
    ('a "tag"', "b,c"),
    Convention.EVENT_FIRST,
    Grants(StateGrant(StateMode.EXCLUSIVE, SaveOn.ALWAYS)),
)
OTHER = Definition(Script.of("return 2;", 1000))


class _Refused(Exception):
    pass


def refuse(_: Function | None) -> Function:
    raise _Refused


def usable(owner: Owner = ALICE, title: LanguageTitle = ADDER, version: int | None = None) -> FunctionLookup:
    return FunctionLookup.usable(owner, title, version)


def exact(owner: Owner = ALICE, title: LanguageTitle = ADDER, version: int | None = None) -> FunctionLookup:
    return FunctionLookup.exact(owner, title, version)


class FunctionRepositoryContract(ABC):
    now = ManualClock().now()
    ids = SequentialIds()

    @pytest.fixture
    @abstractmethod
    def functions(self) -> FunctionRepository:
        """Without any function, keeping VERSIONS_KEPT versions and examining EXAMINED_MAX functions for a page."""

    @pytest.fixture
    @abstractmethod
    def move_to_bob(self, functions: Any) -> Callable[[], None]:
        """Moves the function ADDER of ALICE to BOB, as another process does."""

    def function(
        self,
        title: LanguageTitle = ADDER,
        made: Definition = MADE,
        at: datetime | None = None,
        owner: Owner = ALICE,
    ) -> Function:
        at = at or self.now
        return Function(self.ids.new(at), owner, title, made, at, at, author=owner)

    async def add(
        self,
        functions: FunctionRepository,
        title: LanguageTitle = ADDER,
        owner: Owner = ALICE,
        made: Definition = MADE,
    ) -> Function:
        return await functions.update(owner, title, lambda _: self.function(title, made, owner=owner), act())

    async def replace(
        self, functions: FunctionRepository, made: Definition = OTHER, title: LanguageTitle = ADDER
    ) -> Function:
        def change(stored: Function | None) -> Function:
            assert stored is not None
            return stored.replace(made, BOB, self.now + HOUR)

        return await functions.update(ALICE, title, change, act())

    async def deactivate(
        self, functions: FunctionRepository, title: LanguageTitle = ADDER, owner: Owner = ALICE
    ) -> Function:
        def change(stored: Function | None) -> Function:
            assert stored is not None
            return stored.deactivate(self.now + HOUR)

        return await functions.update(owner, title, change, act(ActName.FUNCTIONS_DELETE))

    async def versions(self, functions: FunctionRepository, count: int) -> list[Function]:
        """Register versions that all differ; return them, the newest first."""
        made = [Definition(Script.of(f"return {number};", 1000)) for number in range(count)]
        first = await self.add(functions, made=made[0])
        return [first, *[await self.replace(functions, each) for each in made[1:]]][::-1]

    async def test_a_function_is_found_as_it_was_stored(self, functions):
        added = await self.add(functions)
        assert (added.owner, added.definition, added.author, added.version) == (ALICE, MADE, ALICE, 1)
        assert await functions.find(exact()) == added
        assert await functions.schema(added.function_id, 1) == MADE.schema

    async def test_a_function_without_schema_has_none(self, functions):
        added = await self.add(functions, made=OTHER)
        assert (await functions.find(exact())).definition == OTHER
        assert await functions.schema(added.function_id, 1) == FunctionSchema()

    async def test_a_version_may_be_stored_deactivated(self, functions):
        def new(_: Function | None) -> Function:
            return evolve(self.function(), deactivated_at=self.now)

        def following(stored: Function | None) -> Function:
            assert stored is not None
            return evolve(stored.replace(OTHER, BOB, self.now + HOUR), deactivated_at=self.now + 2 * HOUR)

        for change in (new, following):
            changed = await functions.update(ALICE, ADDER, change, act())
            assert await functions.find(exact()) == changed
            assert changed.deactivated_at is not None
            with pytest.raises(FunctionNotFound):
                await functions.callable(exact())
        assert (await functions.find(exact(version=1))).definition == MADE

    async def test_a_function_that_was_never_registered_is_not_found(self, functions):
        await self.add(functions)
        for title in (LanguageTitle(Language.PYTHON, "adder"), LanguageTitle(Language.NODEJS, "Adder")):
            with pytest.raises(FunctionNotFound) as caught:
                await functions.find(usable(title=title))
            assert (caught.value.language_title, caught.value.owner) == (title, None)
        unknown = self.ids.new(self.now)
        assert await functions.schema(unknown, 1) is None
        assert await functions.versions(unknown) == []

    async def test_a_call_by_name_finds_the_version_that_a_look_up_finds(self, functions):
        newest, *_ = await self.versions(functions, VERSIONS_KEPT + 1)
        shared = await self.add(functions, owner=SHARED, made=OTHER)
        for lookup in (
            usable(),
            usable(version=newest.version - 1),
            exact(SHARED),
            usable(BOB),
            usable(BOB, version=1),
        ):
            assert await functions.callable(lookup) == (await functions.find(lookup)).pinned
        assert (await functions.callable(usable())).version == newest.version
        assert (await functions.callable(usable(BOB))).function_id == shared.function_id
        await self.deactivate(functions)
        assert (await functions.callable(usable())).function_id == shared.function_id

    async def test_a_call_by_name_finds_no_version_that_is_not_registered_and_kept(self, functions):
        newest, *_ = await self.versions(functions, VERSIONS_KEPT + 1)
        for version in (1, newest.version + 1):
            with pytest.raises(FunctionVersionNotFound) as caught:
                await functions.callable(usable(version=version))
            assert caught.value.kept == [4, 3, 2]
        await self.deactivate(functions)
        for lookup in (usable(), usable(version=newest.version), usable(title=LanguageTitle(Language.PYTHON, "adder"))):
            with pytest.raises(FunctionNotFound):
                await functions.callable(lookup)

    async def test_a_function_of_another_owner_is_not_found(self, functions):
        await self.add(functions)
        for lookup in (usable(BOB), exact(BOB), exact(SHARED)):
            with pytest.raises(FunctionNotFound):
                await functions.find(lookup)

    async def test_ones_own_function_comes_before_the_shared_one(self, functions):
        shared = await self.add(functions, owner=SHARED, made=OTHER)
        assert await functions.find(usable()) == shared
        own = await self.add(functions)
        assert await functions.find(usable()) == own
        assert await functions.find(usable(BOB)) == await functions.find(exact(SHARED)) == shared

    async def test_a_deactivated_function_comes_after_a_registered_one(self, functions):
        own = await self.add(functions)
        shared = await self.add(functions, owner=SHARED, made=OTHER)
        deactivated = await self.deactivate(functions)
        assert await functions.find(usable()) == shared
        assert await functions.find(exact()) == deactivated
        await self.deactivate(functions, owner=SHARED)
        assert (await functions.find(usable())).function_id == own.function_id

    async def test_functions_of_one_title_are_changed_apart(self, functions):
        shared = await self.add(functions, owner=SHARED)
        await self.add(functions)
        replaced = await self.replace(functions)
        assert await functions.find(exact(SHARED)) == shared
        assert await functions.find(exact()) == replaced
        assert await functions.schema(shared.function_id, 2) is None

    async def test_each_change_is_recorded_with_its_version(self, functions, audit):
        await self.add(functions)
        await self.replace(functions)
        await self.deactivate(functions)
        await self.deactivate(functions)
        with pytest.raises(_Refused):
            await functions.update(ALICE, ADDER, refuse, act())
        entries = await recorded(audit)
        assert [(entry.act, entry.details) for entry in entries] == [
            ("functions.delete", {"version": 2}),
            ("functions.put", {"version": 2}),
            ("functions.put", {"version": 1}),
        ]
        assert {(entry.owner, entry.subject, entry.actor) for entry in entries} == {(ALICE, str(ADDER), OPERATOR)}
        assert not any(MADE.script.source in str(entry) for entry in entries)

    async def test_a_change_gets_the_stored_function(self, functions):
        seen: list[Function | None] = []
        first = self.function()

        def change(stored: Function | None) -> Function:
            seen.append(stored)
            return first if stored is None else stored.replace(OTHER, BOB, self.now)

        await functions.update(ALICE, ADDER, change, act())
        await functions.update(ALICE, ADDER, change, act())
        assert seen == [None, first]

    async def test_a_replacement_is_the_next_version_and_the_first_one_stays(self, functions):
        first = await self.add(functions)
        replaced = await self.replace(functions)
        assert (replaced.version, replaced.created_at, replaced.updated_at) == (2, self.now, self.now + HOUR)
        assert (replaced.function_id, replaced.author) == (first.function_id, BOB)
        assert await functions.find(exact()) == replaced
        assert await functions.find(usable(version=1)) == first
        assert await functions.schema(first.function_id, 1) == MADE.schema
        assert await functions.schema(first.function_id, 2) == OTHER.schema

    async def test_a_version_is_found_from_its_registration_on(self, functions):
        function_id = (await self.add(functions)).function_id
        assert await functions.schema(function_id, 2) is None
        await self.replace(functions)
        assert await functions.schema(function_id, 2) == OTHER.schema

    async def test_the_newest_versions_are_listed_and_found(self, functions):
        made = await self.versions(functions, VERSIONS_KEPT)
        assert await functions.versions(made[0].function_id) == [FunctionVersion.of(each) for each in made]
        for each in made:
            assert await functions.find(exact(version=each.version)) == each

    async def test_older_versions_are_neither_listed_nor_found(self, functions):
        made = await self.versions(functions, VERSIONS_KEPT + 2)
        kept = list(range(VERSIONS_KEPT + 2, 2, -1))
        assert [each.version for each in await functions.versions(made[0].function_id)] == kept
        for version in (1, 2, VERSIONS_KEPT + 3):
            with pytest.raises(FunctionVersionNotFound) as caught:
                await functions.find(usable(version=version))
            assert (caught.value.owner, caught.value.version, list(caught.value.kept)) == (ALICE, version, kept)

    async def test_a_version_of_a_deactivated_function_says_that_it_is_deactivated(self, functions):
        first = await self.add(functions)
        await self.replace(functions)
        deactivated = await self.deactivate(functions)
        assert await functions.find(exact(version=1)) == evolve(first, deactivated_at=deactivated.deactivated_at)

    async def test_a_change_that_raises_stores_nothing(self, functions):
        with pytest.raises(_Refused):
            await functions.update(ALICE, ADDER, refuse, act())
        with pytest.raises(FunctionNotFound):
            await functions.find(exact())

    async def test_a_change_that_returns_its_argument_stores_nothing(self, functions):
        added = await self.add(functions)
        assert await self.replace(functions, MADE) == added
        assert await functions.find(exact()) == added

    async def test_a_deactivated_function_and_its_versions_are_found(self, functions):
        added = await self.add(functions)
        deactivated = await self.deactivate(functions)
        assert deactivated.deactivated_at == self.now + HOUR
        assert await functions.find(exact()) == deactivated
        assert await functions.schema(added.function_id, 1) == MADE.schema

    async def test_a_deactivated_function_continues_with_the_next_version(self, functions):
        await self.add(functions)
        await self.deactivate(functions)
        again = await self.replace(functions, MADE)
        assert (again.version, again.deactivated_at) == (2, None)
        assert await functions.find(exact()) == again

    async def test_each_concurrent_update_sees_the_one_before_it(self, functions):
        def change(stored: Function | None) -> Function:
            if stored is None:
                return self.function()
            source = f"{stored.definition.script.source}{stored.version}"
            return stored.replace(Definition(Script.of(source, 1000)), BOB, self.now)

        changed = await asyncio.gather(*(functions.update(ALICE, ADDER, change, act()) for _ in range(6)))
        assert sorted(function.version for function in changed) == [1, 2, 3, 4, 5, 6]
        assert len({function.function_id for function in changed}) == 1
        assert (await functions.find(exact())).definition.script.source == f"{MADE.script.source}12345"

    async def test_a_function_that_moves_during_an_update_is_left_alone_and_registered_anew(
        self, functions, move_to_bob
    ):
        added = await self.add(functions)

        def change(stored: Function | None) -> Function:
            if stored is None:
                return self.function(made=OTHER)
            move_to_bob()
            return stored.replace(OTHER, ALICE, self.now + HOUR)

        changed = await functions.update(ALICE, ADDER, change, act())
        assert (changed.version, changed.owner) == (1, ALICE)
        assert changed.function_id != added.function_id
        assert await functions.find(exact()) == changed
        assert await functions.find(exact(BOB)) == evolve(added, owner=BOB)

    async def test_a_function_that_moves_during_its_deactivation_stays_registered(self, functions, move_to_bob, audit):
        added = await self.add(functions)

        def change(stored: Function | None) -> Function:
            if stored is None:
                raise _Refused
            move_to_bob()
            return stored.deactivate(self.now + HOUR)

        with pytest.raises(_Refused):
            await functions.update(ALICE, ADDER, change, act(ActName.FUNCTIONS_DELETE))
        assert await functions.find(exact(BOB)) == evolve(added, owner=BOB)
        assert [entry.act for entry in await recorded(audit)] == ["functions.put"]

    async def listed(self, functions: FunctionRepository, size: int = 10, **wanted: Any) -> list[FunctionSummary]:
        """Return all functions on all pages."""
        found: list[FunctionSummary] = []
        after: FunctionPlace | None = FIRST_PLACE
        while after is not None:
            page = await functions.page(FunctionFilter(**wanted), after, size)
            assert len(page.items) <= size
            found += page.items
            assert page.next_after is None or page.next_after > after
            after = page.next_after
        return found

    async def test_pages_are_sorted_by_title(self, functions):
        titles = [LanguageTitle(Language.PYTHON, "a"), LanguageTitle(Language.NODEJS, "z"), ADDER]
        for title in titles:
            await self.add(functions, title)
        wanted = [FunctionSummary.of(self.function(title)) for title in (ADDER, titles[1], titles[0])]
        assert await functions.page(FunctionFilter(), FIRST_PLACE, 3) == FunctionPage(wanted, None)
        first = await functions.page(FunctionFilter(), FIRST_PLACE, 2)
        assert first == FunctionPage(wanted[:2], FunctionPlace("nodejs", "z", ALICE))
        assert await functions.page(FunctionFilter(), first.next_after, 2) == FunctionPage(wanted[2:], None)
        for size in (1, 2, 3):
            assert await self.listed(functions, size) == wanted

    async def test_pages_show_the_wanted_owners(self, functions):
        for owner in (SHARED, BOB, ALICE):
            await self.add(functions, owner=owner)

        async def shown(*owners: Owner) -> list[Owner]:
            listed = await self.listed(functions, 1, owners=frozenset(owners) if owners else None)
            return [each.owner for each in listed]

        assert await shown() == [ALICE, BOB, SHARED]
        assert await shown(SHARED, ALICE) == [ALICE, SHARED]
        assert await shown(BOB) == [BOB]
        assert await shown(Owner("carol")) == []

    async def test_pages_show_one_language_or_one_type(self, functions):
        python = LanguageTitle(Language.PYTHON, "a")
        await self.add(functions, python)
        await self.add(functions)
        assert await self.listed(functions, language=Language.PYTHON) == [FunctionSummary.of(self.function(python))]
        assert len(await self.listed(functions, language=Language.NODEJS, type=FunctionType.DYNAMIC)) == 1
        assert await self.listed(functions, type=FunctionType.PREDEFINED) == []

    async def test_pages_show_functions_with_a_tag(self, functions):
        await self.add(functions)
        await self.add(functions, LanguageTitle(Language.PYTHON, "a"), made=OTHER)
        for tag in MADE.tags:
            assert [each.language_title for each in await self.listed(functions, tag=tag)] == [ADDER]
        assert await self.listed(functions, tag="b") == []

    @pytest.mark.parametrize(("text", "count"), [("NODEJS-ADD", 1), ('"quoted"', 1), ("adds", 1), ("_", 0), ("%", 0)])
    async def test_pages_show_functions_whose_title_or_description_has_a_text(self, functions, text, count):
        await self.add(functions)
        await self.add(functions, LanguageTitle(Language.PYTHON, "other"), made=OTHER)
        assert len(await self.listed(functions, text=text)) == count

    async def test_a_page_examines_a_bounded_number_of_functions(self, functions):
        for number in range(EXAMINED_MAX + 2):
            await self.add(functions, LanguageTitle(Language.PYTHON, f"f{number}"))
        last = LanguageTitle(Language.PYTHON, "z")
        await self.add(functions, last, made=evolve(OTHER, tags=("rare",)))
        first = await functions.page(FunctionFilter(tag="rare"), FIRST_PLACE, 10)
        assert first == FunctionPage([], FunctionPlace("python", f"f{EXAMINED_MAX - 1}", ALICE))
        assert [each.language_title for each in await self.listed(functions, tag="rare")] == [last]

    async def test_pages_show_current_versions_and_no_deactivated_function(self, functions):
        python = LanguageTitle(Language.PYTHON, "a")
        await self.add(functions, python)
        await self.add(functions)
        replaced = await self.replace(functions)
        await self.deactivate(functions, python)
        assert await self.listed(functions) == [FunctionSummary.of(replaced)]

    async def test_usage_counts_functions_and_the_bytes_of_all_versions(self, functions):
        assert await functions.usage([ALICE]) == [FunctionUsage(0, 0)]
        script = Script.of("#" + "x" * 100_000, 200_000)
        await self.add(functions, made=Definition(script))
        await self.add(functions, owner=BOB, made=Definition(script))
        await self.add(functions, LanguageTitle(Language.PYTHON, "a"))
        await self.replace(functions, Definition(script, "again"))
        other, usage = await functions.usage([BOB, ALICE])
        assert (other.functions, usage.functions) == (1, 2)
        assert 100_000 < other.stored_bytes < 101_000
        assert 200_000 < usage.stored_bytes < 202_000

    async def test_usage_covers_a_bounded_number_of_functions(self, functions):
        for title in "abc":
            await self.add(functions, LanguageTitle(Language.PYTHON, title))
        (one,), (all_three,) = await functions.usage([ALICE], 1), await functions.usage([ALICE])
        assert (one.functions, all_three.functions) == (1, 3)
        assert all_three.stored_bytes == 3 * one.stored_bytes

    async def test_usage_counts_no_deactivated_function(self, functions):
        python = LanguageTitle(Language.PYTHON, "a")
        await self.add(functions, python)
        (alone,) = await functions.usage([ALICE])
        await self.add(functions)
        await self.replace(functions)
        await self.deactivate(functions)
        assert await functions.usage([ALICE]) == [alone]
        assert alone.functions == 1
