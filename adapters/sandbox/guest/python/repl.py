"""Runs scripts whose top-level names are the state: the next execution finds those that JSON can hold."""

# ruff: noqa: D103  # functions of one program, which names explain

from __future__ import annotations

import ast
import types

from .frames import encode
from .scripts import EVENT_NAMES, FILE_NAME, NO_RESULT, awaited

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    from typing import Any

    from .progress import ProgressReporter
    from .scripts import CompiledScript
    from .states import KeptState

GIVEN = frozenset((*EVENT_NAMES, "progress", "result"))
"""Names that mean something else in each execution, and are no part of the state."""
DROPPED_MAX = 64
NAME_SIZE_MAX = 128
TYPE_SIZE_MAX = 64
LEAVES = frozenset((type(None), bool, int, float, str))
type_name = type.__dict__["__name__"].__get__
bases_of = type.__dict__["__mro__"].__get__
"""Of any class. One of a script may have attributes of these names, which would run its code."""


class ReplScript:
    """The code of a script, and of the expression at its end, if there is one."""

    def __init__(self, script: CompiledScript) -> None:
        self.script = script
        tree = ast.parse("".join(script.lines), FILE_NAME)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        self.code = compile(tree, FILE_NAME, "exec", dont_inherit=True)
        self.value = None
        if isinstance(last, ast.Expr):
            self.value = compile(ast.Expression(last.value), FILE_NAME, "eval", dont_inherit=True)

    def run(self, event: dict[str, Any], progress: ProgressReporter, state: KeptState) -> Any:
        """Run it with the names of the state, and return its `result`, or else the value of its last expression.

        Afterwards the state has the names that stay; other keys of the state stay as they are.
        """
        before = event.pop("state")
        names = self.script.new_names()
        names.update({name: value for name, value in before.items() if is_own_name(name)})
        names.update(event, event=event, progress=progress.report)
        try:
            exec(self.code, names)  # noqa: S102  # the purpose of this program
            value = None if self.value is None else eval(self.value, names)  # noqa: S307  # as above
            if "result" in names:
                return awaited(names["result"])
            value = awaited(value)
            return NO_RESULT if value is None else value
        finally:
            kept, state.dropped = divided({name: value for name, value in names.items() if is_own_name(name)})
            event["state"] = {key: value for key, value in before.items() if not is_own_name(key)} | kept


def is_own_name(name: Any) -> bool:
    return type(name) is str and name.isidentifier() and not name.startswith("_") and name not in GIVEN


def divided(names: dict[str, Any]) -> tuple[dict[str, Any], list[list[str]]]:
    """Return the names that stay with their values, and others with their types. Modules are in neither."""
    kept: dict[str, Any] = {}
    dropped: list[list[str]] = []
    for name, value in names.items():
        if len(name) <= NAME_SIZE_MAX and stays(value):
            kept[name] = value
        elif not is_module(value) and len(dropped) < DROPPED_MAX:
            dropped.append([name[:NAME_SIZE_MAX], type_name(type(value))[:TYPE_SIZE_MAX]])
    return kept, dropped


def is_module(value: Any) -> bool:
    return any(each is types.ModuleType for each in bases_of(type(value)))


def stays(value: Any) -> bool:
    """Return whether JSON gives back an equal value of the same types."""
    try:
        if not is_plain(value):
            return False
        encode(value).encode()
    except (ValueError, TypeError, RecursionError, OverflowError):
        return False
    return True


def is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is list:
        return all(map(is_plain, value))
    if kind is dict:
        return all(type(key) is str and is_plain(child) for key, child in value.items())
    return kind in LEAVES
