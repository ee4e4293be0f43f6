"""The secrets of one execution, which its script finds in the module pglambda."""

from __future__ import annotations

import sys
import types

MODULE = "pglambda"


class Secrets(dict[str, str]):
    """Values by name. Printed, it shows the names only."""

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # `typing` takes long to import
        """Return the names."""
        return f"<secrets: {', '.join(self)}>"


def provide(values: dict[str, str]) -> None:
    """Let the script import the values. The module goes with those of the script after the execution."""
    module = types.ModuleType(MODULE, "What pglambda gives to this execution.")
    module.secrets = Secrets(values)  # type: ignore[attr-defined]  # a module that has no file
    sys.modules[MODULE] = module
