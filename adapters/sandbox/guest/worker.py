"""Runs Python scripts inside the sandbox: reads operations from one descriptor and answers each of them.

An operation and an answer are frames: two little-endian lengths, a JSON header, a body. Nothing here is a boundary:
the sandbox around this process is. What is here keeps executions of one session apart and explains failures.
"""

# ruff: noqa: D103  # a program with its explanations in place, imported by nobody
# ruff: noqa: PTH101, PTH106, PTH108, PTH116  # pathlib would be half of the start

from __future__ import annotations

import builtins
import errno
import gc
import io
import json
import linecache
import os
import select
import signal
import struct
import sys
import threading
import traceback
import types
import warnings

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

LENGTHS = struct.Struct("<II")
PIECE_SIZE = 16_384
FILE_NAME = "script.py"
TEXT_MAX = 16_384
SCRATCH = "/tmp"  # noqa: S108  # the sandbox's own
PREPARED = (
    "asyncio", "base64", "bisect", "collections.abc", "copy", "csv", "dataclasses", "datetime", "decimal", "enum",
    "fractions", "functools", "hashlib", "heapq", "inspect", "itertools", "math", "operator", "random", "re",
    "secrets", "statistics", "string", "textwrap", "time", "typing", "urllib.parse", "uuid", "zoneinfo",
)  # fmt: skip
NAMES = ("event", "params", "context", "request_id")
BUILTINS = dict(vars(builtins))

encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class NotSerializable(Exception):
    """The result cannot be written as JSON."""


class ResultTooLarge(Exception):
    """The result is written as more bytes than are allowed."""


# The channel.


def read_some(descriptor: int, size: int) -> bytes:
    piece = os.read(descriptor, size)
    if not piece:
        os._exit(0)  # the service has gone
    return piece


def read_exactly(descriptor: int, size: int) -> Iterator[bytes]:
    while size > 0:
        piece = read_some(descriptor, min(size, 1 << 20))
        size -= len(piece)
        yield piece


class Frames:
    """What is read from the channel: most frames come whole, and some with the next one behind them."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.unread = b""

    def next(self) -> tuple[dict[str, Any], bytes]:
        content = self.unread or read_some(self.descriptor, PIECE_SIZE)
        while len(content) < LENGTHS.size:
            content += read_some(self.descriptor, PIECE_SIZE)
        header_size, body_size = LENGTHS.unpack_from(content)
        body_at = LENGTHS.size + header_size
        end = body_at + body_size
        if len(content) < end:
            content = b"".join((content, *read_exactly(self.descriptor, end - len(content))))
        self.unread = content[end:]
        return json.loads(content[LENGTHS.size : body_at]), content[body_at:end]


def write_frame(descriptor: int, header: dict[str, Any], body: bytes = b"") -> None:
    encoded = encode(header).encode("utf-8", "replace")
    content = memoryview(b"".join((LENGTHS.pack(len(encoded), len(body)), encoded, body)))
    while content:
        content = content[os.write(descriptor, content) :]


# Scripts.


def parse(source: str) -> types.CodeType:
    return compile(source, FILE_NAME, "exec", dont_inherit=True)


def fault_of(error: Exception) -> dict[str, Any]:
    if isinstance(error, SyntaxError):
        return {"message": str(error.msg), "line": error.lineno or 1, "column": max(error.offset or 1, 1)}
    if isinstance(error, (MemoryError, RecursionError)):
        return {"message": "too large or too deep to check", "line": None, "column": None}
    return {"message": str(error), "line": None, "column": None}


def check(source: str) -> dict[str, Any] | None:
    warnings.simplefilter("ignore")
    try:
        parse(source)
    except Exception as error:  # noqa: BLE001  # whatever the compiler raises is the verdict
        return fault_of(error)
    return None


class CompiledScript:
    """A source and its code, compiled once."""

    def __init__(self, source: str) -> None:
        self.code = parse(source)
        self.lines = source.splitlines(keepends=True)
        self.size = len(source)

    def run(self, event: dict[str, Any]) -> Any:
        linecache.cache[FILE_NAME] = (self.size, None, self.lines, FILE_NAME)
        module = types.ModuleType("script")
        names = module.__dict__
        names["__builtins__"] = builtins.__dict__
        names.update(event, event=event)
        sys.modules["script"] = module
        exec(self.code, names)  # noqa: S102  # the whole purpose
        return settle(value_of(names, event))


def value_of(names: dict[str, Any], event: dict[str, Any]) -> Any:
    for name in ("handler", "handle"):
        function = names.get(name)
        if callable(function):
            return function(*arguments_for(function, name, event))
    return names.get("result")


def arguments_for(function: Callable[..., Any], name: str, event: dict[str, Any]) -> list[Any]:
    available = {"event": event, **event}
    required, optional = parameters_of(function)
    if len(required) == 1 and required[0] not in available:
        return [event]
    unknown = [parameter for parameter in required if parameter not in available]
    if unknown:
        raise TypeError(f"{name}() declares {unknown[0]!r}, which is none of {', '.join(NAMES)}")
    given = list(required)
    for parameter in optional:
        if parameter not in available:
            break
        given.append(parameter)
    return [available[parameter] for parameter in given]


def parameters_of(function: Callable[..., Any]) -> tuple[Sequence[str], Sequence[str]]:
    if not isinstance(function, types.FunctionType) or function.__code__.co_kwonlyargcount:
        return signature_of(function)
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    required = len(names) - len(function.__defaults__ or ())
    return names[:required], names[required:]


def signature_of(function: Callable[..., Any]) -> tuple[Sequence[str], Sequence[str]]:
    import inspect  # noqa: PLC0415  # costs more than most scripts; few need it

    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = [p for p in inspect.signature(function).parameters.values() if p.kind in positional]
    required = [p.name for p in found if p.default is p.empty]
    return required, [p.name for p in found if p.default is not p.empty]


def settle(value: Any) -> Any:
    if not hasattr(type(value), "__await__"):
        return value
    import asyncio  # noqa: PLC0415  # half of the interpreter's start; only scripts that await pay for it

    async def wait() -> Any:
        return await value

    return asyncio.run(wait())


# Results.


def result_text(value: Any, size_max: int) -> bytes:
    try:
        text = encode(value).encode()
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise NotSerializable(describe_unserializable(value, error)) from None
    if len(text) > size_max:
        raise ResultTooLarge(len(text))
    return text


def describe_unserializable(value: Any, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "The result is nested too deeply for JSON."
    found = find_unserializable(value, "result", set(), 0)
    if found is None:
        return f"The result cannot be written as JSON: {error}."
    return f"{found[0]} is {found[1]}, which JSON cannot hold."


def find_unserializable(value: Any, path: str, above: set[int], depth: int) -> tuple[str, str] | None:
    if depth > 200:
        return path, "nested too deeply"
    if id(value) in above:
        return path, "an object that contains itself"
    above = above | {id(value)} if isinstance(value, (dict, list, tuple)) else above
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, (str, int, float, bool, type(None))):
                return f"{path} (a key)", f"a value of type {type(key).__name__}"
    for child, child_path in children_of(value, path):
        found = find_unserializable(child, child_path, above, depth + 1)
        if found is not None:
            return found
    return None if isinstance(value, (dict, list, tuple)) else unserializable_leaf(value, path)


def children_of(value: Any, path: str) -> Iterator[tuple[Any, str]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield child, f"{path}[{key!r}]"
    elif isinstance(value, (list, tuple)):
        for index, child in enumerate(value):
            yield child, f"{path}[{index}]"


def unserializable_leaf(value: Any, path: str) -> tuple[str, str] | None:
    try:
        encode(value).encode()
    except UnicodeEncodeError:
        return path, "a string with a lone surrogate"
    except (ValueError, OverflowError):
        return path, "an integer too large to write" if isinstance(value, int) else f"the number {value!r}"
    except TypeError:
        return path, f"a value of type {type(value).__name__}"
    return None


# Failures.


def failure_of(error: BaseException) -> dict[str, Any]:
    code, observed = "SCRIPT_ERROR", None
    if isinstance(error, SystemExit):
        return {"code": "SCRIPT_EXITED", "message": f"The script ended itself by SystemExit({exit_code(error)})."}
    if isinstance(error, NotSerializable):
        return {"code": "RESULT_NOT_SERIALIZABLE", "message": str(error)}
    if isinstance(error, ResultTooLarge):
        return {"code": "RESULT_TOO_LARGE", "message": "", "observed": error.args[0]}
    if isinstance(error, MemoryError):
        code = "MEMORY_LIMIT"
    elif refused_process(error):
        code = "PROCESS_LIMIT"
    return {"code": code, "observed": observed, **described(error)}


def exit_code(error: SystemExit) -> str:
    return cut(repr(error.code), 200) if error.code is not None else ""


def refused_process(error: BaseException) -> bool:
    if isinstance(error, RuntimeError):
        return str(error) == "can't start new thread"
    return isinstance(error, BlockingIOError) and error.errno == errno.EAGAIN


def described(error: BaseException) -> dict[str, Any]:
    line, column = position_of(error)
    name = type(error).__name__
    return {
        "name": cut(name, 200),
        "message": cut(safe_text(error) + refusal_in(error), TEXT_MAX),
        "stack": cut(stack_of(error), TEXT_MAX),
        "line": line,
        "column": column,
    }


def safe_text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # noqa: BLE001  # the script's own __str__ may do anything
        return ""


def refusal_in(error: BaseException) -> str:
    """Name the call that the sandbox refused: the system's own text says only that something was."""
    if not isinstance(error, OSError):
        return ""
    is_lookup = type(error).__name__ == "gaierror"
    if error.errno != errno.EPERM and not is_lookup:
        return ""
    call = innermost_call(error)
    if is_lookup or call.startswith(("socket", "_socket")):
        return f" (the sandbox has no network: {call} was refused)"
    return f" (the sandbox refuses {call})"


def innermost_call(error: BaseException) -> str:
    trace = error.__traceback__
    if trace is None:
        return "it"
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    if code.co_filename != FILE_NAME:
        return f"{trace.tb_frame.f_globals.get('__name__')}.{code.co_qualname}"
    summary = traceback.extract_tb(trace)[-1]
    if summary.lineno != summary.end_lineno or summary.colno is None or summary.end_colno is None:
        return str(summary.line)
    # Positions are bytes of UTF-8, and the summary's own line is stripped.
    line = linecache.getline(FILE_NAME, summary.lineno or 0).encode()
    return line[summary.colno : summary.end_colno].decode("utf-8", "replace")


def position_of(error: BaseException) -> tuple[int | None, int | None]:
    if isinstance(error, SyntaxError) and error.filename == FILE_NAME:
        return error.lineno, error.offset
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == FILE_NAME]
    if not frames:
        return None, None
    innermost = frames[-1]
    return innermost.lineno, None if innermost.colno is None else innermost.colno + 1


def stack_of(error: BaseException) -> str:
    try:
        told = traceback.TracebackException.from_exception(error, limit=-50)
        drop_own_frames(told, 0)
        return "".join(told.format())
    except BaseException:  # noqa: BLE001  # as above
        return ""


def drop_own_frames(told: traceback.TracebackException | None, depth: int) -> None:
    if told is None or depth > 20:
        return
    told.stack = traceback.StackSummary.from_list([f for f in told.stack if f.filename != __file__])
    drop_own_frames(told.__cause__, depth + 1)
    drop_own_frames(told.__context__, depth + 1)


def cut(text: str, size_max: int) -> str:
    return text if len(text) <= size_max else text[:size_max] + "..."


# One execution and what it leaves behind.


class ExecutionScope:
    """What an execution finds, and what is put back after it."""

    def __init__(self) -> None:
        self.streams = (sys.stdout, sys.stderr, sys.stdin)
        self.path = list(sys.path)
        self.modules = set(sys.modules)
        self.descriptors = OwnDescriptors()
        self.environment = os.environ
        self.scratch = os.stat(SCRATCH)
        self.recursion_limit = sys.getrecursionlimit()

    def tidy(self) -> bool:
        """Put everything back; return whether nothing was left that cannot be."""
        sys.stdout, sys.stderr, sys.stdin = self.streams
        sys.stdout.flush()
        sys.stderr.flush()
        sys.settrace(None)
        sys.setprofile(None)
        sys.setrecursionlimit(self.recursion_limit)
        sys.path[:] = self.path
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        os.environ = self.environment  # noqa: B003  # the same one, should there be another in its place
        if self.environment:
            self.environment.clear()
        os.chdir(SCRATCH)
        self._forget_modules()
        scratch = os.stat(SCRATCH)
        if scratch.st_mode != self.scratch.st_mode:
            os.chmod(SCRATCH, self.scratch.st_mode & 0o7777)
        # That of a tmpfs' folder is the number of its entries, which takes a quarter of looking for them.
        if scratch.st_size != self.scratch.st_size:
            empty(SCRATCH)
        # Threads are counted from outside.
        return self._descriptors_are_closed()

    def _forget_modules(self) -> None:
        if len(sys.modules) == len(self.modules):
            return
        for name in set(sys.modules) - self.modules:
            if is_own_module(sys.modules[name]):
                del sys.modules[name]
            else:
                self.modules.add(name)

    def _descriptors_are_closed(self) -> bool:
        if self.descriptors.are_all():
            return True
        gc.collect()
        return self.descriptors.are_all()


def is_own_module(module: types.ModuleType) -> bool:
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    return origin is None or origin.startswith(SCRATCH)


class OwnDescriptors:
    """The descriptors that a worker has of its own, and the one that is given to the next file that is opened."""

    def __init__(self) -> None:
        free = os.dup(0)
        os.close(free)
        self.poll = select.poll()
        for descriptor in range(free + 1):
            self.poll.register(descriptor, 0)
        self.expected = [(free, select.POLLNVAL)]

    def are_all(self) -> bool:
        """Tell whether they are open, and the next one is not."""
        return self.poll.poll(0) == self.expected


def empty(folder: str) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                os.chmod(entry.path, 0o700)
                empty(entry.path)
                os.rmdir(entry.path)
            else:
                os.unlink(entry.path)


def perform(
    script: CompiledScript | Exception, room: ExecutionScope, event: dict[str, Any], size_max: int
) -> tuple[dict[str, Any], bytes]:
    try:
        body = result_text(run(script, event), size_max)
        header: dict[str, Any] = {"kind": "result"}
    except BaseException as error:  # noqa: BLE001  # SystemExit and KeyboardInterrupt are the script's as well
        header, body = {"kind": "failure", "failure": failure_of(error)}, b""
    try:
        header["reusable"] = room.tidy()
    except BaseException:  # noqa: BLE001  # what cannot be tidied is thrown away with the worker
        header["reusable"] = False
    return header, body


def run(script: CompiledScript | Exception, event: dict[str, Any]) -> Any:
    if isinstance(script, Exception):
        raise script
    try:
        return script.run(event)
    finally:
        # At once: what follows uses them.
        if builtins.__dict__ != BUILTINS:
            found = builtins.__dict__
            found.clear()
            found.update(BUILTINS)


def load(source: str) -> CompiledScript | Exception:
    try:
        return CompiledScript(source)
    except Exception as error:  # noqa: BLE001  # told when it is run
        return error


def serve(channel: int) -> None:
    script: CompiledScript | Exception = RuntimeError("no script was loaded")
    room, frames = ExecutionScope(), Frames(channel)
    while True:
        operation, body = frames.next()
        nonce = operation["nonce"]
        if operation["op"] == "check":
            write_frame(channel, {"nonce": nonce, "kind": "checked", "fault": check(body.decode())})
        elif operation["op"] == "load":
            script = load(body.decode())
        else:
            header, result = perform(script, room, json.loads(body), operation["result_size_max"])
            write_frame(channel, {"nonce": nonce, **header}, result)


def prepare() -> None:
    """Import, once for all workers, what scripts often use and what takes long to import."""
    for name in PREPARED:
        __import__(name)


def main(channel: int) -> None:
    sys.argv[:] = [FILE_NAME]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    threading.stack_size(2 << 20)
    os.chdir(SCRATCH)
    os.environ.clear()
    write_frame(channel, {"kind": "ready", "nonce": ""})
    serve(channel)


if __name__ == "__main__":
    main(int(sys.argv[1]))
