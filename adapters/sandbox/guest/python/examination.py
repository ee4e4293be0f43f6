"""Finds in the text of a script what behaves differently here than in the origin, or under another convention."""

# ruff: noqa: D103  # functions of one program, which names explain; `ast` names the methods of visitors

from __future__ import annotations

import ast
import sys

from .forms import reads_event_in_context

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

FINDINGS_MAX = 50
TEXT_SIZE_MAX = 100

LOGGER_HAS = {"trace", "debug", "info", "success", "warning", "error", "critical", "exception", "log", "bind", "opt"}
NOT_JSON = (
    "set", "frozenset", "bytes", "collections.deque", "dataclasses.dataclass", "datetime.date", "datetime.datetime",
    "datetime.time", "datetime.timedelta", "decimal.Decimal", "enum", "ipaddress", "pathlib", "uuid",
)  # fmt: skip
OUTSIDE = (
    "ftplib", "http.client", "imaplib", "multiprocessing", "open", "os.environ", "os.fork", "os.getenv", "os.popen",
    "os.putenv", "os.spawnv", "os.system", "poplib", "smtplib", "socket", "socketserver", "subprocess",
    "urllib.request", "xmlrpc.client",
)  # fmt: skip
SLOW = ("asyncio.sleep", "time.sleep")
SHARED = ("builtins", "sys.modules")


def examine(source: str) -> list[tuple[str, int, str]]:
    """Return findings as tuples of a code, a line and a text; none for a script that does not parse."""
    try:
        found = Examination(ast.parse(source)).findings
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return sorted(found, key=lambda finding: finding[1])[:FINDINGS_MAX]


class Examination:
    """The findings in a script. Imported names stand for what they were imported from."""

    def __init__(self, tree: ast.Module) -> None:
        self.findings: dict[tuple[str, int, str], None] = {}
        self.imported: dict[str, str] = {}
        self.assigned: set[str] = set()
        self.judged: set[ast.expr] = set()
        nodes = list(ast.walk(tree))
        for node in nodes:
            self.note_names(node)
        for node in nodes:
            self.judge(node)
        for statement in tree.body:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self.judge_function(statement)

    def add(self, code: str, node: Any, text: str) -> None:
        self.findings[code, node.lineno, text[:TEXT_SIZE_MAX]] = None

    def note_names(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.partition(".")[0]
                self.imported[alias.asname or name] = name
        elif isinstance(node, ast.ImportFrom):
            self.imported |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            self.assigned.add(node.id)

    def judge(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                self.judge_import(node, alias.name)
        elif isinstance(node, ast.ImportFrom):
            self.judge_import(node, node.module or "")
        elif isinstance(node, (ast.Name, ast.Attribute)):
            self.judge_name(node)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            if is_below(self.name_of(node.value), SHARED):
                self.add("P9", node, self.name_of(node.value))
        elif isinstance(node, (ast.Set, ast.SetComp)):
            self.add("P5", node, "a set")
        elif isinstance(node, ast.Constant) and isinstance(node.value, bytes):
            self.add("P5", node, "bytes")

    def judge_import(self, node: ast.stmt, module: str) -> None:
        if module.partition(".")[0] not in sys.stdlib_module_names or is_below(module, OUTSIDE):
            self.add("P7", node, module)

    def judge_name(self, node: ast.Name | ast.Attribute) -> None:
        """Judge the longest dotted name; `ast.walk` comes to the shorter ones inside it later."""
        if isinstance(node, ast.Attribute):
            self.judged.add(node.value)
        name = "" if node in self.judged else self.name_of(node)
        if not name:
            return
        root, _, member = name.partition(".")
        if isinstance(node.ctx, ast.Store):
            if member and (root in SHARED or root in self.imported.values()):
                self.add("P9", node, name)
            return
        if root == "logger" and root not in self.assigned and root not in self.imported:
            self.add("P4" if member.partition(".")[0] in LOGGER_HAS else "P4-missing", node, name)
        for code, names in (("P5", NOT_JSON), ("P7", OUTSIDE), ("P8", SLOW)):
            if is_below(name, names):
                self.add(code, node, name)

    def name_of(self, node: ast.expr) -> str:
        """Return a dotted name with the first part as it was imported; an empty text for another expression."""
        if isinstance(node, ast.Name):
            return self.imported.get(node.id, node.id)
        if not isinstance(node, ast.Attribute):
            return ""
        holder = self.name_of(node.value)
        return f"{holder}.{node.attr}" if holder else ""

    def judge_function(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if function.name not in {"handle", "handler"}:
            return
        parameters = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
        reads_event = bool(parameters) and reads_params_of(parameters[0], function)
        if function.name == "handler":
            self.add("P2", function, "handler")
        else:
            self.judge_handle(function, parameters, reads_event=reads_event)
        if reads_event_in_context(function):
            self.add("event-first", function, function.name)

    def judge_handle(
        self, handle: ast.FunctionDef | ast.AsyncFunctionDef, parameters: Sequence[str], *, reads_event: bool
    ) -> None:
        if len(parameters) != 1:
            self.add("P3", handle, ", ".join(parameters))
        if reads_event:
            self.add("P1", handle, parameters[0])
        if isinstance(handle, ast.AsyncFunctionDef):
            self.add("P5", handle, "async handle")


def is_below(name: str, parents: Sequence[str]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def reads_params_of(name: str, function: ast.AST) -> bool:
    """Tell whether a function reads `name["params"]` or `name.get("params")`."""
    reads = (ast.unparse(node) for node in ast.walk(function) if isinstance(node, (ast.Subscript, ast.Call)))
    return any(read.startswith((f"{name}['params']", f"{name}.get('params'")) for read in reads)
