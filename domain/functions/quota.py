"""The quotas of an owner's functions."""

from attrs import define

from domain.errors import QuotaReached
from domain.functions.function import Definition, FunctionNotFound
from domain.functions.ports import FunctionLookup, FunctionRepository
from domain.identity import Owner
from domain.scripts.language import LanguageTitle


@define
class FunctionQuota:
    """Holds each owner to a number of functions, and to the bytes that all their versions take; None is unlimited.

    Concurrent calls do not see each other, so together they may exceed a quota.
    """

    _functions: FunctionRepository
    _functions_max: int | None = None
    _bytes_max: int | None = None

    async def require(self, owner: Owner, title: LanguageTitle, definition: Definition) -> None:
        """Raise QuotaReached unless the owner has room for the definition; StorageUnavailable or Overloaded."""
        if self._functions_max is None and self._bytes_max is None:
            return
        usage = await self._functions.usage(owner)
        if self._bytes_max is not None and usage.stored_bytes + definition.size > self._bytes_max:
            raise QuotaReached("function_bytes", self._bytes_max, usage.stored_bytes)
        if self._functions_max is None or usage.functions < self._functions_max:
            return
        if not await self._is_stored(owner, title):
            raise QuotaReached("functions", self._functions_max, usage.functions)

    async def _is_stored(self, owner: Owner, title: LanguageTitle) -> bool:
        try:
            await self._functions.find(FunctionLookup.exact(owner, title))
        except FunctionNotFound:
            return False
        return True
