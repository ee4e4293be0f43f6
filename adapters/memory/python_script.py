"""Runs Python scripts in this process by their contract, without any protection."""

import ast
import asyncio
import builtins
import contextlib
import inspect
import io
import json
import traceback
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from functools import partial
from types import SimpleNamespace
from typing import Any

from attrs import define, field, frozen
from typing_extensions import override

from adapters.memory.repl_script import run_with_names
from adapters.memory.script_files import ScriptFiles
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.dropped import DroppedName
from domain.scripts.output import OutputListener, ScriptProgress
from domain.scripts.report import CANCELLED, Failure, FailureCode
from domain.scripts.script import InputForm, ScriptSyntaxError, SyntaxFault

_FILE = "<script>"

NO_RESULT = object()
"""What a script gives that gives no result."""


_report_progress: ContextVar[Callable[[ScriptProgress], object]] = ContextVar("progress")


@define(eq=False)
class Stop:
    """Stops an asynchronous script, in whatever thread it runs; a synchronous one ends before it could be stopped."""

    asked: asyncio.Event = field(factory=asyncio.Event)
    _cancel: Callable[[], object] = lambda: None

    def ask(self) -> None:
        """Stop the script, or keep it from starting."""
        self.asked.set()
        with contextlib.suppress(RuntimeError):  # its loop is closed, so it has ended
            self._cancel()

    def run(self, coroutine: Coroutine[object, object, object]) -> object:
        """Run a coroutine to its end in a loop of its own; raises CancelledError when it is stopped."""

        async def to_the_end() -> object:
            loop, task = asyncio.get_running_loop(), asyncio.current_task()
            assert task is not None
            self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
            return await coroutine

        try:
            return asyncio.run(to_the_end())
        except asyncio.CancelledError:
            raise _Stopped from None


class _Stopped(Exception):
    """The script was stopped."""


class _Heard(io.StringIO):
    """A stream of which a listener receives what is written."""

    def __init__(self, hear: Callable[[bytes], object]) -> None:
        super().__init__()
        self._hear = hear

    @override
    def write(self, text: str) -> int:
        self._hear(text.encode("utf-8", "replace"))
        return super().write(text)


@frozen
class Ended:
    """The end of a script: its result or failure, and its output."""

    result: JsonText | None = field(repr=False)
    failure: Failure | None
    stdout: str = field(default="", repr=False)
    stderr: str = field(default="", repr=False)
    state: JsonText | None = field(default=None, repr=False)
    dropped: tuple[DroppedName, ...] = ()


def parse(source: str) -> InputForm:
    """Parse without running, and return the form; raises ScriptSyntaxError."""
    try:
        tree = ast.parse(source, _FILE)
    except SyntaxError as error:
        raise ScriptSyntaxError(SyntaxFault(error.msg, error.lineno, error.offset)) from error
    handlers = [each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name in {"handle", "handler"}]
    takes_context = bool(handlers) and [each.arg for each in handlers[-1].args.args] == ["context"]
    reads = {f"context{reading}" for reading in ("['params']", ".get('params')", ".get('params', {})")}
    is_event = takes_context and any(ast.unparse(each) in reads for each in ast.walk(tree))
    return InputForm.EVENT_IN_CONTEXT if is_event else InputForm.PLAIN


async def evaluate(
    function: Callable[[Mapping[str, object]], object],
    event: Mapping[str, object],
    listener: OutputListener | None = None,
    stop: Stop | None = None,
) -> Ended:
    """Call a script with its event, and wait for its end; a coroutine runs in a loop of its own."""
    loop = asyncio.get_running_loop()

    def hear(name: str) -> Callable[..., object]:
        return partial(loop.call_soon_threadsafe, getattr(listener, name)) if listener else lambda _: None

    out, err = _Heard(hear("on_stdout")), _Heard(hear("on_stderr"))
    _report_progress.set(hear("on_progress"))
    ended = await _evaluated(function, event, out, err, stop or Stop())
    await asyncio.sleep(0)  # the listener hears everything before the report
    return ended


async def _evaluated(
    function: Callable[[Mapping[str, object]], object],
    event: Mapping[str, object],
    out: io.StringIO,
    err: io.StringIO,
    stop: Stop,
) -> Ended:
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            value = function(event)
            if inspect.iscoroutine(value):
                value = await asyncio.to_thread(stop.run, value)
        result = None if value is NO_RESULT else _encode(value)
    except _Stopped:
        return Ended(None, CANCELLED, out.getvalue(), err.getvalue())
    except _Unserializable as error:
        failure = Failure(FailureCode.RESULT_NOT_SERIALIZABLE, f"The result is not JSON: {error}")
        return Ended(None, failure, out.getvalue(), err.getvalue())
    except SystemExit as error:
        failure = Failure(FailureCode.SCRIPT_EXITED, f"The script has ended its process with {error.code!r}")
        return Ended(None, failure, out.getvalue(), err.getvalue())
    except Exception as error:  # noqa: BLE001  # any error of a script is its failure
        return Ended(None, _script_error(error), out.getvalue(), err.getvalue())
    return Ended(result, None, out.getvalue(), err.getvalue())


def python_function(
    source: str,
    convention: Convention = Convention.OWN,
    secrets: Mapping[str, str] | None = None,
    *,
    is_repl: bool = False,
    files: ScriptFiles | None = None,
) -> Callable[[Mapping[str, object]], object]:
    """Return the script as a function of its event: `handler`, else `handle`, else the value of `result`.

    It can import the secrets and open the files, if there are any. A script whose names are the state has no handler.
    """
    entry_points = ("handle",) if convention is Convention.ORIGIN else ("handler", "handle")

    def call(event: Mapping[str, object]) -> object:
        namespace = {"__name__": "__script__", "params": event["params"], "context": event["context"]}
        if secrets:
            namespace["__builtins__"] = vars(builtins) | {"__import__": partial(_imported, _Secrets(secrets))}
        if files is not None:
            namespace["open"] = files.open
        if convention is not Convention.ORIGIN:
            namespace |= {"progress": _progress, "event": event}
            if is_repl:
                assert isinstance(event, dict)
                return run_with_names(source, event, namespace).get("result", NO_RESULT)
            if "state" in event:
                namespace["state"] = event["state"]
        exec(compile(source, _FILE, "exec"), namespace)  # noqa: S102  # it runs scripts of tests
        for name in entry_points:
            if callable(entry := namespace.get(name)):
                value = _called(entry, event, convention)
                return value if _returns_values(source, name) else _nothing_from(value)
        return namespace.get("result", NO_RESULT)

    return call


class _Secrets(dict[str, str]):
    """Values by name, which it does not show."""

    @override
    def __repr__(self) -> str:
        return f"<secrets: {', '.join(self)}>"


def _imported(secrets: _Secrets, name: str, *place: Any) -> Any:
    """Import a module; `pglambda` is there for this script alone."""
    return SimpleNamespace(secrets=secrets) if name == "pglambda" else __import__(name, *place)


def _progress(value: float | None = None, message: str = "") -> None:
    _report_progress.get()(ScriptProgress(value, message))


def _returns_values(source: str, name: str) -> bool:
    """Return whether a handler has a `return` with a value, is a generator, or is no function of the script."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds) and node.name == name]
    parts = [node for function in functions for node in ast.walk(function)]
    gives = any(isinstance(node, ast.Yield) or (isinstance(node, ast.Return) and node.value) for node in parts)
    return not functions or gives


def _nothing_from(value: object) -> object:
    """Return that a handler gives no result; an asynchronous one runs first."""

    async def wait(coroutine: Coroutine[object, object, object]) -> object:
        await coroutine
        return NO_RESULT

    return wait(value) if inspect.iscoroutine(value) else NO_RESULT


class _Unserializable(Exception):
    """The result has no JSON form."""


def _called(entry: Callable[..., object], event: Mapping[str, object], convention: Convention) -> object:
    if convention is Convention.ORIGIN:
        return entry(event["params"])
    if convention is Convention.EVENT_FIRST and len(inspect.signature(entry).parameters) == 1:
        return entry(event)
    return entry(**_arguments(entry, event))


def _arguments(entry: Callable[..., object], event: Mapping[str, object]) -> dict[str, object]:
    known = {"event": event, **event}
    declared = list(inspect.signature(entry).parameters)
    if len(declared) == 1 and declared[0] not in known:
        return {declared[0]: event}
    return {name: known[name] for name in declared if name in known}


def _encode(value: object) -> JsonText:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise _Unserializable(str(error)) from error
    return JsonText(text)


def _script_error(error: Exception) -> Failure:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == _FILE]
    line = error.lineno if isinstance(error, SyntaxError) else frames[-1].lineno if frames else None
    stack = "".join([*traceback.format_list(frames), *traceback.format_exception_only(error)])
    name = type(error).__name__
    return Failure(FailureCode.SCRIPT_ERROR, str(error), name=name, stack=stack, line=line)
