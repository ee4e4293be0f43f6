"""Functions in memory."""

from collections.abc import Callable

from attrs import define, field
from typing_extensions import override

from domain.functions.function import Function, FunctionNotFound, FunctionSummary
from domain.functions.ports import FunctionFilter, FunctionPage, FunctionRepository
from domain.functions.schema import FunctionSchema, FunctionVersionNotFound
from domain.scripts.language import LanguageTitle


@define
class MemoryFunctionRepository(FunctionRepository):
    """Stores functions; while `failure` is set, every call raises it."""

    functions: dict[LanguageTitle, Function] = field(factory=dict)
    schemas: dict[tuple[LanguageTitle, int], FunctionSchema] = field(factory=dict)
    failure: Exception | None = None

    @override
    async def get(self, title: LanguageTitle) -> Function:
        self._require_available()
        if title not in self.functions:
            raise FunctionNotFound(title)
        return self.functions[title]

    @override
    async def schema(self, title: LanguageTitle, version: int) -> FunctionSchema:
        self._require_available()
        if (title, version) not in self.schemas:
            raise FunctionVersionNotFound(title, version)
        return self.schemas[title, version]

    @override
    async def update(self, title: LanguageTitle, change: Callable[[Function | None], Function]) -> Function:
        self._require_available()
        changed = change(self.functions.get(title))
        self.functions[title] = changed
        self.schemas[title, changed.version] = changed.definition.schema
        return changed

    @override
    async def page(self, wanted: FunctionFilter, offset: int, size: int) -> FunctionPage:
        self._require_available()
        shown = sorted(filter(wanted.shows, self.functions.values()), key=_order)
        return FunctionPage(len(shown), [FunctionSummary.of(function) for function in shown[offset : offset + size]])

    def _require_available(self) -> None:
        if self.failure is not None:
            raise self.failure


def _order(function: Function) -> tuple[str, str]:
    return function.language_title.language, function.language_title.title
