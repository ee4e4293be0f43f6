"""The syntax check within a request's budget, and what it shows."""

from collections.abc import Awaitable
from enum import StrEnum

from domain.concurrency.budget import Budget
from domain.errors import RuntimeUnavailable
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.script import InputForm

_SHARE = 0.9
"""The check's share of the time that is left; storing the object needs the rest."""


class ScriptWarning(StrEnum):
    """What a script that was accepted may do otherwise than its author expects."""

    EVENT_IN_CONTEXT = "EVENT_IN_CONTEXT"

    @property
    def message(self) -> str:
        """The warning as a sentence, with what the caller can do."""
        return (
            'The handler has the one parameter `context`, and reads "params" in it. It receives the context of the '
            "session. If it expects the event, name the parameter `event`, or send the convention event-first."
        )


async def parsed(check: Awaitable[InputForm | None], language: Language, budget: Budget) -> InputForm | None:
    """Return what `check`, a `ScriptRunner.check`, returns within the budget.

    Raises ScriptSyntaxError, RuntimeUnavailable or Overloaded.
    """

    def late() -> RuntimeUnavailable:
        return RuntimeUnavailable(language, "its syntax checker did not respond in time. Repeat the call.")

    return await budget.spend(check, late, _SHARE)


def warnings_of(form: InputForm | None, convention: Convention) -> tuple[ScriptWarning, ...]:
    """Return the warnings about a script of this form that is called by this convention."""
    is_doubtful = form is InputForm.EVENT_IN_CONTEXT and convention is Convention.OWN
    return (ScriptWarning.EVENT_IN_CONTEXT,) if is_doubtful else ()
