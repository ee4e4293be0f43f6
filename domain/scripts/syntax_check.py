"""The syntax check within a request's budget."""

from collections.abc import Awaitable

from domain.concurrency.budget import Budget
from domain.errors import RuntimeUnavailable
from domain.scripts.language import Language

_SHARE = 0.9
"""The check's share of the time that is left; storing the object needs the rest."""


async def parsed(check: Awaitable[bool], language: Language, budget: Budget) -> bool:
    """Return what `check`, a `ScriptRunner.check`, returns within the budget.

    Raises ScriptSyntaxError, RuntimeUnavailable or Overloaded.
    """

    def late() -> RuntimeUnavailable:
        return RuntimeUnavailable(language, "its syntax checker did not respond in time. Repeat the call.")

    return await budget.spend(check, late, _SHARE)
