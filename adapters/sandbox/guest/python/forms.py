"""Says how a script takes its input, by its syntax tree."""

# ruff: noqa: D103  # functions of one program, which names explain

from __future__ import annotations

import ast
import re

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE_MAX = 16 << 10
"""Characters of a script whose tree is built: that takes as long as parsing it once more, or twice."""
TAKES_CONTEXT = re.compile(r"handler?\s*(?:\(|=\s*lambda\s)\s*context\b")
"""What such a script has in its text; for others no tree is built."""


def is_event_in_context(source: str) -> bool:
    """Tell whether the only parameter of the handler is `context`, and it reads "params" in it, as in an event."""
    if len(source) > SIZE_MAX or TAKES_CONTEXT.search(source) is None:
        return False
    try:
        tree = ast.parse(source)
    except Exception:  # noqa: BLE001  # the script parses, so its tree is too large or too deep
        return False
    found = {name: arguments for statement in tree.body for name, arguments in named_functions(statement)}
    function = found.get("handler") or found.get("handle")
    return function is not None and reads_event_in_context(function)


def reads_event_in_context(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> bool:
    return has_context_only(function.args) and any(map(reads_params, ast.walk(function)))


def named_functions(
    statement: ast.stmt,
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda]]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield statement.name, statement
    elif isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Lambda):
        for target in statement.targets:
            if isinstance(target, ast.Name):
                yield target.id, statement.value


def has_context_only(arguments: ast.arguments) -> bool:
    positional = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
    return positional == ["context"] and not (arguments.vararg or arguments.kwonlyargs or arguments.kwarg)


def reads_params(node: ast.AST) -> bool:
    """Tell whether it is `context["params"]`, or begins as `context.get("params")` does."""
    if isinstance(node, ast.Subscript):
        return is_context(node.value) and is_params(node.slice)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        return is_context(node.func.value) and bool(node.args) and is_params(node.args[0])
    return False


def is_context(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "context"


def is_params(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == "params"
