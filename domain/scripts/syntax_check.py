"""The syntax check within a request's budget."""

from domain.concurrency.budget import Budget
from domain.errors import RuntimeUnavailable
from domain.identity import Owner
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRunner
from domain.scripts.script import Script

_SHARE = 0.9
"""The check's share of the time that is left; storing the object needs the rest."""


async def parsed(runner: ScriptRunner, language: Language, script: Script, owner: Owner, budget: Budget) -> bool:
    """Return whether the script was parsed; False if the runtime cannot parse this language.

    Raises ScriptSyntaxError, RuntimeUnavailable or Overloaded.
    """

    def late() -> RuntimeUnavailable:
        return RuntimeUnavailable(language, "its syntax checker did not respond in time. Repeat the call.")

    return await budget.spend(runner.check(language, script, owner), late, _SHARE)
