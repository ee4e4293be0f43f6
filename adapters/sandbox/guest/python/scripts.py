"""Compiles scripts, says why one does not parse, and calls them."""

# ruff: noqa: D103  # functions of one program, which names explain

from __future__ import annotations

import asyncio
import builtins
import inspect
import io
import linecache
import re
import sys
import time
import types
import warnings

from .forms import is_event_in_context
from .results import result_text

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from .progress import ProgressReporter

FILE_NAME = "script.py"
NO_RESULT = object()
"""What a script gives that gives no result."""
RETURN_WITH_VALUE = re.compile(rb"\breturn\b(?=\s*[^\s#;])[\s(]*")
BLOCK = re.compile(r"\s*+(?:(?:async\s++)?with|try|except|else)\b")
"""The beginning of a line whose block is cleaned up after: bytecode hides where a constant is returned there."""
RETURN_IN_CODE = re.compile(r"\breturn\b\s*+[^\s;]")
STRINGS_AND_COMMENTS = re.compile(r"\"(?:\\.|[^\"\\])*+\"?|'(?:\\.|[^'\\])*+'?|#.*", re.DOTALL)
EVENT_NAMES = ("event", "params", "context", "request_id")


def parse(source: str) -> types.CodeType:
    return compile(source, FILE_NAME, "exec", dont_inherit=True)


def judge_all(judge: Callable[[str], Any], scripts: Sequence[str | list[str]], cpu_s: float) -> list[Any]:
    """Return the judgements of the first script and of those that begin within this CPU time.

    A script is its source, or a pair of its source and its calling convention, by which Python parses nothing else.
    """
    warnings.simplefilter("ignore")
    judgements, ends_at = [], time.process_time() + cpu_s
    for script in scripts:
        judgements.append(judge(script if isinstance(script, str) else script[0]))
        if time.process_time() >= ends_at:
            break
    return judgements


def check(source: str) -> tuple[dict[str, Any] | None, bool]:
    """Return the fault of a script that does not parse, and whether one that parses reads the event in `context`."""
    try:
        parse(source)
    except Exception as error:  # noqa: BLE001  # every error of the compiler is a fault of the script
        return fault_of(error), False
    return None, is_event_in_context(source)


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
        # As the compiler numbers lines: str.splitlines also splits at form feeds and U+2028.
        self.lines = io.StringIO(source, newline=None).readlines()
        self.size = len(source)
        self.judged: tuple[types.CodeType | None, bool] = None, True
        self.repl: Any = None

    def run(self, event: dict[str, Any], progress: ProgressReporter) -> Any:
        """Run it in a new module, and return what its handler returns, or its `result`; NO_RESULT if it gives none."""
        names = self.new_names()
        names.update(event, event=event, progress=progress.report)
        exec(self.code, names)  # noqa: S102  # the purpose of this program
        for name in ("handler", "handle"):
            function = names.get(name)
            if callable(function):
                value = awaited(function(*self.arguments_for(function, name, event)))
                return NO_RESULT if value is None and not self.returns_values(function) else value
        return awaited(names.get("result", NO_RESULT))

    def new_names(self) -> dict[str, Any]:
        """Return the names of a new module for one execution."""
        linecache.cache[FILE_NAME] = (self.size, None, self.lines, FILE_NAME)
        module = types.ModuleType("script")
        names = module.__dict__
        names["__builtins__"] = builtins.__dict__
        sys.modules["script"] = module
        return names

    def arguments_for(self, function: Callable[..., Any], name: str, event: dict[str, Any]) -> list[Any]:
        """Return what the handler of this name receives: by the names of its parameters, or the event."""
        required, optional = parameters_of(function)
        return arguments_by_name(name, required, optional, event)

    def text_of(self, result: Any, size_max: int) -> bytes:
        """Return a result as JSON; raises NotSerializable and ResultTooLarge."""
        return result_text(result, size_max)

    def returns_values(self, function: Callable[..., Any]) -> bool:
        """Return whether a function has a `return` with a value. Python returns None from one without it, too."""
        code = getattr(function, "__code__", None)
        if code is None or code.co_filename != FILE_NAME or code.co_name == "<lambda>":
            return True
        if code is not self.judged[0]:
            self.judged = code, has_value_returned(code, self.lines)
        return self.judged[1]


def has_value_returned(code: types.CodeType, lines: Sequence[str]) -> bool:
    columns: dict[int, set[int]] = {}
    for line, _, column, _ in code.co_positions():
        if line and column is not None and line <= len(lines):
            if line not in columns:
                columns[line] = columns_of_returns(lines[line - 1])
            if column in columns[line]:
                return True
    return any(is_block_with_return(lines[line - 1]) for line, found in columns.items() if found)


def is_block_with_return(line: str) -> bool:
    """Tell whether a line is a whole block with a `return` that has a value, such as `with lock: return None`."""
    if BLOCK.match(line) is None:
        return False
    code = STRINGS_AND_COMMENTS.sub(lambda found: "" if found[0].startswith("#") else "''", line)
    found = RETURN_IN_CODE.search(code)
    return found is not None and ":" in code[: found.start()]


def columns_of_returns(line: str) -> set[int]:
    """Return where bytecode of a `return` with a value may be: at the statement, or at the value behind it."""
    columns: set[int] = set()
    for found in RETURN_WITH_VALUE.finditer(line.encode()):
        columns.add(found.start())
        columns.update(range(found.start() + len("return"), found.end() + 1))
    return columns


class EventFirstScript(CompiledScript):
    """A script whose handler receives the event if it has one parameter, whatever the parameter's name is."""

    def arguments_for(  # type: ignore[explicit-override]  # `typing` takes long to import
        self, function: Callable[..., Any], name: str, event: dict[str, Any]
    ) -> list[Any]:
        required, optional = parameters_of(function)
        if len(required) + len(optional) == 1:
            return [event]
        return arguments_by_name(name, required, optional, event)


def arguments_by_name(name: str, required: Sequence[str], optional: Sequence[str], event: dict[str, Any]) -> list[Any]:
    available = {"event": event, **event}
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
