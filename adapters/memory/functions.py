"""Functions in memory."""

from collections.abc import Callable, Sequence
from uuid import UUID

from attrs import define, evolve, field
from typing_extensions import override

from adapters.memory.audit import MemoryAudit
from domain.audit import Act
from domain.functions.function import Function, FunctionNotFound, FunctionVersionNotFound, PinnedVersion
from domain.functions.lists import FunctionFilter, FunctionPage, FunctionPlace, FunctionSummary, FunctionVersion
from domain.functions.ports import FunctionLookup, FunctionRepository, FunctionUsage
from domain.functions.schema import FunctionSchema
from domain.identity import Owner
from domain.scripts.language import LanguageTitle


@define
class MemoryFunctionRepository(FunctionRepository):
    """Stores every version; while `failure` is set, every call raises it."""

    versions_kept: int = 20
    examined_max: int = 1000
    functions: dict[tuple[Owner, LanguageTitle], Function] = field(factory=dict)
    stored: dict[tuple[UUID, int], Function] = field(factory=dict)
    failure: Exception | None = None
    audit: MemoryAudit = field(factory=MemoryAudit)

    @override
    async def find(self, lookup: FunctionLookup) -> Function:
        self._require_available()
        found = [self.functions.get((owner, lookup.language_title)) for owner in (lookup.owner, lookup.other)]
        ordered = sorted((each for each in found if each is not None), key=lambda each: each.deactivated_at is not None)
        if not ordered:
            exact = lookup.owner if lookup.owner == lookup.other else None
            raise FunctionNotFound(lookup.language_title, exact)
        current = ordered[0]
        return current if lookup.version is None else self._at(current, lookup.version)

    @override
    async def callable(self, lookup: FunctionLookup) -> PinnedVersion:
        return (await self.find(lookup)).require_registered().pinned

    @override
    async def versions(self, function_id: UUID) -> Sequence[FunctionVersion]:
        self._require_available()
        return [FunctionVersion.of(self.stored[function_id, version]) for version in self._kept(function_id)]

    @override
    async def schema(self, function_id: UUID, version: int) -> FunctionSchema | None:
        self._require_available()
        stored = self.stored.get((function_id, version))
        return None if stored is None else stored.definition.schema

    @override
    async def update(
        self, owner: Owner, title: LanguageTitle, change: Callable[[Function | None], Function], act: Act
    ) -> Function:
        self._require_available()
        read = self.functions.get((owner, title))
        changed = change(read)
        if self.functions.get((owner, title)) is not read:
            return await self.update(owner, title, change, act)
        self.functions[owner, title] = changed
        self.stored[changed.function_id, changed.version] = changed
        if changed is not read:
            self.audit.record(act, owner, str(title), {"version": changed.version})
        return changed

    @override
    async def page(self, wanted: FunctionFilter, after: FunctionPlace, size: int) -> FunctionPage:
        self._require_available()
        listed = FunctionFilter(wanted.owners, wanted.language)
        behind = (each for each in self.functions.values() if listed.shows(each) and FunctionPlace.of(each) > after)
        examined = sorted(behind, key=FunctionPlace.of)
        matching = list(filter(wanted.shows, examined[: self.examined_max]))
        last = None
        if len(matching) > size:
            last = matching[size - 1]
        elif len(examined) > self.examined_max:
            last = examined[self.examined_max - 1]
        shown = [FunctionSummary.of(each) for each in matching[:size]]
        return FunctionPage(shown, None if last is None else FunctionPlace.of(last))

    @override
    async def usage(self, owners: Sequence[Owner], functions_max: int | None = None) -> Sequence[FunctionUsage]:
        self._require_available()
        return [self._usage(owner, functions_max) for owner in owners]

    def _usage(self, owner: Owner, functions_max: int | None) -> FunctionUsage:
        own = [each for each in self.functions.values() if each.owner == owner and each.deactivated_at is None]
        own = own[:functions_max]
        ids = {each.function_id for each in own}
        stored = [version for (function_id, _), version in self.stored.items() if function_id in ids]
        return FunctionUsage(len(own), sum(version.definition.size for version in stored))

    def _at(self, current: Function, version: int) -> Function:
        kept = self._kept(current.function_id)
        if version not in kept:
            raise FunctionVersionNotFound(current.owner, current.language_title, version, kept)
        return evolve(self.stored[current.function_id, version], deactivated_at=current.deactivated_at)

    def _kept(self, function_id: UUID) -> list[int]:
        versions = (version for stored_id, version in self.stored if stored_id == function_id)
        return sorted(versions, reverse=True)[: self.versions_kept]

    def _require_available(self) -> None:
        if self.failure is not None:
            raise self.failure
