"""The quotas of an owner's functions."""

from attrs import define

from domain.errors import QuotaReached
from domain.functions.function import Definition, Function, FunctionNotFound
from domain.functions.ports import FunctionLookup, FunctionRepository, FunctionUsage
from domain.identity import Owner
from domain.scripts.language import LanguageTitle


@define
class FunctionQuota:
    """Holds each owner to a number of functions, and to the bytes that all their versions take; None is unlimited.

    Deactivated functions do not count; the versions of one that is registered again count from the next call on.
    Concurrent calls do not see each other, so together they may exceed a quota.
    """

    _functions: FunctionRepository
    _functions_max: int | None = None
    _bytes_max: int | None = None

    async def require(self, owner: Owner, title: LanguageTitle, definition: Definition) -> None:
        """Raise QuotaReached unless the owner has room for the definition, or it is the current one already.

        Raises StorageUnavailable or Overloaded.
        """
        if self._functions_max is None and self._bytes_max is None:
            return
        (usage,) = await self._functions.usage([owner])
        reached = self._bytes_reached(usage, definition), self._functions_reached(usage)
        if any(reached):
            _require_room(await self._registered(owner, title), definition, *reached)

    def _bytes_reached(self, usage: FunctionUsage, definition: Definition) -> QuotaReached | None:
        if self._bytes_max is None or usage.stored_bytes + definition.size <= self._bytes_max:
            return None
        return QuotaReached("function_bytes", self._bytes_max, usage.stored_bytes)

    def _functions_reached(self, usage: FunctionUsage) -> QuotaReached | None:
        if self._functions_max is None or usage.functions < self._functions_max:
            return None
        return QuotaReached("functions", self._functions_max, usage.functions)

    async def _registered(self, owner: Owner, title: LanguageTitle) -> Function | None:
        try:
            return (await self._functions.find(FunctionLookup.exact(owner, title))).require_registered()
        except FunctionNotFound:
            return None


def _require_room(
    registered: Function | None,
    definition: Definition,
    bytes_reached: QuotaReached | None,
    functions_reached: QuotaReached | None,
) -> None:
    if registered is not None and definition.same(registered.definition):
        return
    if bytes_reached is not None:
        raise bytes_reached
    if functions_reached is not None and registered is None:
        raise functions_reached
