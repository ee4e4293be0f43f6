"""Runs Python scripts inside the sandbox: reads operations from a channel, and replies to each of them.

Nothing in this package is a boundary: a script can reach every object of this process. The sandbox around the process
is the boundary. This code keeps executions of one session apart, and explains failures.
"""

# ruff: noqa: D103  # functions of one program, which names explain

from __future__ import annotations

import contextvars
import importlib
import io
import json
import os
import sys
import threading

from .failures import failure_of
from .frames import ServiceChannel
from .progress import ProgressReporter
from .scope import ExecutionScope, enter_scratch, keep_modules_of, restore_builtins
from .scripts import FILE_NAME, NO_RESULT, CompiledScript, EventFirstScript, check, judge_all

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from .states import KeptState

PREPARED = (
    "asyncio", "base64", "bisect", "collections.abc", "copy", "csv", "dataclasses", "datetime", "decimal", "enum",
    "fractions", "functools", "hashlib", "heapq", "inspect", "itertools", "math", "operator", "random", "re",
    "secrets", "statistics", "string", "textwrap", "time", "typing", "urllib.parse", "uuid", "zoneinfo",
)  # fmt: skip
FILE_OPERATIONS = ("file", "list", "read", "settle")
PREPARED_EQUIPPED = ("ssl", "http.client", "urllib.request", "selectors", "encodings.idna")
THREAD_STACK_SIZE = 2 << 20
parts: dict[str, types.ModuleType] = {}
"""Modules of this package that few workers need."""


def prepare() -> None:
    """Import, once for all workers, what scripts often use and what takes long to import.

    What few workers need comes last, so that it lies apart from what all of them write to, and have copies of.
    """
    for name in PREPARED:
        __import__(name)
    for name in ("examination", "given_secrets", "origin", "states", "repl"):
        part(name)


def prepare_equipped() -> None:
    """Import what workers with a network need."""
    for name in PREPARED_EQUIPPED:
        __import__(name)


def prepare_packages(preload: Sequence[str], variables: Mapping[str, str]) -> dict[str, float]:
    """Let scripts find the packages of their environment, and import some of them; return what that took."""
    packages = part("packages")
    packages.find()
    keep_modules_of(packages.is_theirs)
    try:
        facts: dict[str, float] = packages.preload(preload, variables)
    except packages.UnfitPackage as error:
        os.write(2, str(error).encode())  # what the service reports, without a stack
        os._exit(1)
    return facts


def part(name: str) -> types.ModuleType:
    """Return a module of this package. A fork of the zygote has no files to import it from."""
    if name not in parts:
        parts[name] = importlib.import_module(f".{name}", __package__)
    return parts[name]


def main(descriptor: int) -> None:
    """Serve the service at the other end of the channel; does not return."""
    sys.argv[:] = [FILE_NAME]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    threading.stack_size(THREAD_STACK_SIZE)
    enter_scratch()
    channel = ServiceChannel(descriptor)
    channel.write_frame({"kind": "ready", "nonce": ""})
    serve(channel)


def serve(channel: ServiceChannel) -> None:
    script: CompiledScript | Exception = RuntimeError("no script was loaded")
    scope = ExecutionScope()
    while True:
        operation, body = channel.read_frame()
        nonce = operation["nonce"]
        if operation["op"] == "check":
            checked = judge_all(check, json.loads(body), operation["cpu_s"])
            faults, found = [fault for fault, _ in checked], [n for n, (_, is_found) in enumerate(checked) if is_found]
            channel.write_frame({"nonce": nonce, "kind": "checked", "faults": faults, "events_in_context": found})
        elif operation["op"] == "examine":
            findings = judge_all(part("examination").examine, json.loads(body), operation["cpu_s"])
            channel.write_frame({"nonce": nonce, "kind": "examined", "findings": findings})
        elif operation["op"] == "load":
            script = load(body.decode(), operation.get("convention", "own"))
            scope.process.provide(operation.get("variables", {}))
        elif operation["op"] in FILE_OPERATIONS:
            header, content = part("files").perform(operation, body, scope)
            channel.write_frame({"nonce": nonce, **header}, content)
        else:
            progress = ProgressReporter(channel, nonce)
            event = json.loads(body)
            if "secrets" in operation:
                part("given_secrets").provide(operation.pop("secrets"))
            state = part("states").KeptState(event, operation["state"]) if "state" in operation else None
            restore = part("files").holding(scope) if "files" in operation else scope.restore
            header, result = perform(script, restore, event, progress, operation["result_size_max"], state)
            channel.write_frame({"nonce": nonce, **header}, result)


def load(source: str, convention: str) -> CompiledScript | Exception:
    kinds = {"own": CompiledScript, "event-first": EventFirstScript}
    try:
        kind = part("origin").OriginScript if convention == "origin" else kinds[convention]
        loaded: CompiledScript = kind(source)
    except Exception as error:  # noqa: BLE001  # each execution of it raises this
        return error
    return loaded


def perform(  # noqa: PLR0913, PLR0917  # what an operation has
    script: CompiledScript | Exception,
    restore: Callable[[], bool],
    event: dict[str, Any],
    progress: ProgressReporter,
    size_max: int,
    state: KeptState | None,
) -> tuple[dict[str, Any], bytes]:
    """Return the header of the reply, and the result as JSON; it is empty if the script gives none.

    A state that has changed stands behind the result.
    """
    changed = b""
    try:
        if isinstance(script, Exception):
            raise script  # noqa: TRY301  # it fails as the script does
        result = run(script, event, progress, state)
        body = b"" if result is NO_RESULT else script.text_of(result, size_max)
        if state is not None:
            changed = state.changed()
        header: dict[str, Any] = {"kind": "result"}
    except BaseException as error:  # noqa: BLE001  # a script may raise SystemExit and KeyboardInterrupt too
        header, body = {"kind": "failure", "failure": failure_of(error)}, b""
        if state is not None:
            changed = state.changed_by_failure()
    progress.close()
    try:
        header["reusable"] = restore()
    except BaseException:  # noqa: BLE001  # the service replaces a worker that cannot be put back
        header["reusable"] = False
    if changed:
        header["state_size"] = len(changed)
    if state is not None and state.dropped:
        header["dropped"] = state.dropped
    return header, body + changed


def run(script: CompiledScript, event: dict[str, Any], progress: ProgressReporter, state: KeptState | None) -> Any:
    try:
        if state is not None and state.is_repl:
            script.repl = script.repl or part("repl").ReplScript(script)
            return contextvars.Context().run(script.repl.run, event, progress, state)
        return contextvars.Context().run(script.run, event, progress)
    finally:
        restore_builtins()
