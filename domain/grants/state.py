"""The grant of a state: a JSON object of the session that its executions read and write."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Self

from attrs import frozen

from domain.errors import Problem
from domain.scripts.language import Language


class StateMode(StrEnum):
    """Who writes the state: one execution at a time (EXCLUSIVE), or none, while any number read it (SHARED)."""

    EXCLUSIVE = "exclusive"
    SHARED = "shared"


class SaveOn(StrEnum):
    """When the state of an execution is saved: if its script succeeded, or also after an error of the script."""

    SUCCESS = "success"
    ALWAYS = "always"


@frozen
class StateGrant:
    """A state of the session. With `repl`, it is the names that a script defines at its top level."""

    mode: StateMode
    save_on: SaveOn = SaveOn.SUCCESS
    repl: bool = False

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Return the grant with these facts."""
        return cls(StateMode(facts["mode"]), SaveOn(facts["save_on"]), facts["repl"])

    def facts(self) -> Mapping[str, Any]:
        """Return the grant as JSON values."""
        return {"mode": self.mode.value, "save_on": self.save_on.value, "repl": self.repl}

    def problems(self, _language: Language) -> Iterator[Problem]:
        """Yield why the grant contradicts itself."""
        if self.mode is StateMode.SHARED and self.repl:
            yield Problem("/repl", "must be false in the mode shared, in which no execution writes the state")
        if self.mode is StateMode.SHARED and self.save_on is not SaveOn.SUCCESS:
            yield Problem("/save_on", "must be success in the mode shared, in which no execution writes the state")

    def excess(self, granted: "StateGrant") -> Iterator[Problem]:
        """Yield the facts that differ: a function is written for one kind of state."""
        for name, value in granted.facts().items():
            if self.facts()[name] != value:
                text = str(value).lower()
                yield Problem(f"/{name}", f"must be {text}, as the function grants it; omit state to take it as it is")
