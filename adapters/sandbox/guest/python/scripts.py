"""Compiles scripts, says why one does not parse, and calls them."""

# ruff: noqa: D103  # functions of one program, which names explain

from __future__ import annotations

import asyncio
import builtins
import inspect
import linecache
import re
import sys
import time
import types
import warnings

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

FILE_NAME = "script.py"
NO_RESULT = object()
"""What a script gives that gives no result."""
# A position in bytecode is that of the statement, or of the value behind `return`.
VALUE_BEHIND = re.compile(rb"return\b\s*[^\s#;]")
RETURN_BEFORE = re.compile(rb"\breturn[\s(]*$")
EVENT_NAMES = ("event", "params", "context", "request_id")


def parse(source: str) -> types.CodeType:
    return compile(source, FILE_NAME, "exec", dont_inherit=True)


def check_all(sources: Sequence[str], cpu_s: float) -> list[dict[str, Any] | None]:
    """Return the faults of the first script and of those that begin within this CPU time; None for one that parses."""
    warnings.simplefilter("ignore")
    faults, ends_at = [], time.process_time() + cpu_s
    for source in sources:
        faults.append(check(source))
        if time.process_time() >= ends_at:
            break
    return faults


def check(source: str) -> dict[str, Any] | None:
    """Return the fault of a script that does not parse."""
    try:
        parse(source)
    except Exception as error:  # noqa: BLE001  # every error of the compiler is a fault of the script
        return fault_of(error)
    return None


def fault_of(error: Exception) -> dict[str, Any]:
    if isinstance(error, SyntaxError):
        return {"message": str(error.msg), "line": error.lineno or 1, "column": max(error.offset or 1, 1)}
    if isinstance(error, (MemoryError, RecursionError)):
        return {"message": "too large or too deep to check", "line": None, "column": None}
    return {"message": str(error), "line": None, "column": None}


class CompiledScript:
    """A source and its code, compiled once."""

    def __init__(self, source: str) -> None:
        self.code = parse(source)
        self.lines = source.splitlines(keepends=True)
        self.size = len(source)

    def run(self, event: dict[str, Any]) -> Any:
        """Run it in a new module, and return what its handler returns, or its `result`; NO_RESULT if it gives none."""
        linecache.cache[FILE_NAME] = (self.size, None, self.lines, FILE_NAME)
        module = types.ModuleType("script")
        names = module.__dict__
        names["__builtins__"] = builtins.__dict__
        names.update(event, event=event)
        sys.modules["script"] = module
        exec(self.code, names)  # noqa: S102  # the purpose of this program
        for name in ("handler", "handle"):
            function = names.get(name)
            if callable(function):
                value = awaited(function(*arguments_for(function, name, event)))
                return NO_RESULT if value is None and not returns_values(function, self.lines) else value
        return awaited(names.get("result", NO_RESULT))


def returns_values(function: Callable[..., Any], lines: Sequence[str]) -> bool:
    """Return whether a function has a `return` with a value. Python returns None from one without it, too."""
    code = getattr(function, "__code__", None)
    if code is None or code.co_filename != FILE_NAME or code.co_name == "<lambda>":
        return True
    for line, _, column, _ in code.co_positions():
        if line and column is not None and line <= len(lines):
            text = lines[line - 1].encode()
            if VALUE_BEHIND.match(text, column) or RETURN_BEFORE.search(text[:column]):
                return True
    return False


def arguments_for(function: Callable[..., Any], name: str, event: dict[str, Any]) -> list[Any]:
    available = {"event": event, **event}
    required, optional = parameters_of(function)
    if len(required) == 1 and required[0] not in available:
        return [event]
    unknown = [parameter for parameter in required if parameter not in available]
    if unknown:
        raise TypeError(
            f"{name}() has the parameter {unknown[0]!r}, but a script receives only {', '.join(EVENT_NAMES)}: "
            "use these names, or give the parameter a default"
        )
    given = list(required)
    for parameter in optional:
        if parameter not in available:
            break
        given.append(parameter)
    return [available[parameter] for parameter in given]


def parameters_of(function: Callable[..., Any]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the names of the positional parameters without a default, and of those with one."""
    if not isinstance(function, types.FunctionType) or function.__code__.co_kwonlyargcount:
        return parameters_of_signature(function)
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    required = len(names) - len(function.__defaults__ or ())
    return names[:required], names[required:]


def parameters_of_signature(function: Callable[..., Any]) -> tuple[Sequence[str], Sequence[str]]:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = [p for p in inspect.signature(function).parameters.values() if p.kind in positional]
    required = [p.name for p in found if p.default is p.empty]
    return required, [p.name for p in found if p.default is not p.empty]


def awaited(value: Any) -> Any:
    if not hasattr(type(value), "__await__"):
        return value

    async def wait() -> Any:
        return await value

    return asyncio.run(wait())
