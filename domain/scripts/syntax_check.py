"""The syntax check as one step of a request."""

from domain.concurrency.budget import Budget
from domain.errors import RuntimeUnavailable
from domain.identity import Owner
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRunner
from domain.scripts.script import Script

_SHARE = 0.9
"""The check's part of the time that is left: after it what was made is stored, which would fail without any time."""


async def parsed(runner: ScriptRunner, language: Language, script: Script, owner: Owner, budget: Budget) -> bool:
    """Return whether the script was parsed (a runtime may not be able to).

    Raises ScriptSyntaxError, RuntimeUnavailable or Overloaded.
    """

    def late() -> RuntimeUnavailable:
        return RuntimeUnavailable(language, "its syntax checker did not answer in time. Repeat the call.")

    return await budget.spend(runner.check(language, script, owner), late, _SHARE)
