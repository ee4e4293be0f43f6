"""Describes why an execution failed."""

# ruff: noqa: D103  # functions of one program, which names explain

from __future__ import annotations

import errno
import linecache
import os
import sys
import traceback

from .results import NotSerializable, ResultTooLarge
from .scripts import FILE_NAME

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    from typing import Any

OWN_FOLDER = os.path.dirname(__file__) + os.sep  # noqa: PTH120  # pathlib would be half of the start
NOTES = OWN_FOLDER + "notes.py"
"""Its frames stand between a script and the functions that it calls."""
TEXT_SIZE_MAX = 16_384
NAME_SIZE_MAX = 200
FRAMES_MAX = 50
HOSTS = "/etc/hosts"
"""A file that only workers with a network have."""
PACKAGES = "/environment"
"""A folder that only workers with packages have."""
FILES = "/files"
"""A folder that only workers with files have."""
GIVEN = "pglambda"
"""The module with the secrets of an execution."""
CAUSES_MAX = 20


def failure_of(error: BaseException) -> dict[str, Any]:
    if isinstance(error, SystemExit):
        # Cut as a whole: the service looks for secrets only at the end of a message that was cut.
        message = cut(f"The script ended itself by SystemExit({exit_code(error)}).", TEXT_SIZE_MAX)
        return {"code": "SCRIPT_EXITED", "message": message}
    if isinstance(error, NotSerializable):
        return {"code": f"{error.of}_NOT_SERIALIZABLE", "message": str(error)}
    if isinstance(error, ResultTooLarge):
        return {"code": f"{error.of}_TOO_LARGE", "message": "", "observed": error.args[0]}
    return {"code": code_of(error), **details_of(error)}


def exit_code(error: SystemExit) -> str:
    return repr(error.code) if error.code is not None else ""


def code_of(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "MEMORY_LIMIT"
    return "PROCESS_LIMIT" if is_refused_process(error) else "SCRIPT_ERROR"


def is_refused_process(error: BaseException) -> bool:
    if isinstance(error, RuntimeError):
        return str(error) == "can't start new thread"
    return (isinstance(error, BlockingIOError) and error.errno == errno.EAGAIN) or is_refused_semaphore(error)


def is_refused_semaphore(error: BaseException) -> bool:
    """Tell whether `multiprocessing` found no folder for semaphores, which pools of processes make first."""
    return isinstance(error, FileNotFoundError) and innermost_call(error).startswith("multiprocessing.synchronize.")


def details_of(error: BaseException) -> dict[str, Any]:
    line, column = position_of(error)
    return {
        "name": cut(type(error).__name__, NAME_SIZE_MAX),
        "message": cut(text_of(error) + refusal_in(error), TEXT_SIZE_MAX),
        "stack": cut(stack_of(error), TEXT_SIZE_MAX),
        "line": line,
        "column": column,
    }


def text_of(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # noqa: BLE001  # the script's own __str__ may do anything
        return ""


def refusal_in(error: BaseException) -> str:
    """Name what the sandbox refused: the text of the system says only that something was."""
    if isinstance(error, ModuleNotFoundError):
        return missing_package(error)
    if isinstance(error, NameError) and error.name == "state":
        return " (the session has no state)"
    refused = refused_call(error)
    if refused is None:
        return missing_folder(error)
    call = innermost_call(refused)
    if is_lookup(refused) or call.startswith(("socket", "_socket")):
        if os.path.exists(HOSTS):  # noqa: PTH110  # pathlib would be half of the start
            return ""  # the service knows more about a script with a network
        return f" (the sandbox has no network: {call} was refused)"
    return f" (the sandbox refuses {call})"


def missing_package(error: ModuleNotFoundError) -> str:
    package = str(error.name).partition(".")[0]
    if package in sys.stdlib_module_names:
        return ""
    if package == GIVEN:
        return " (it is there if the session has secrets)"
    if os.path.exists(PACKAGES):  # noqa: PTH110  # pathlib would be half of the start
        return " (the environment of the session does not have it)"
    return " (a script has Python's standard library; packages need an environment)"


def missing_folder(error: BaseException) -> str:
    is_there = os.path.exists(FILES)  # noqa: PTH110  # pathlib would be half of the start
    is_below = isinstance(error, FileNotFoundError) and str(error.filename).startswith(f"{FILES}/")
    return " (the session has no files)" if is_below and not is_there else ""


def refused_call(error: BaseException | None) -> OSError | None:
    """Return the error of the refused call: the error itself, or the one that it was raised for, as in `urllib`."""
    for _ in range(CAUSES_MAX):
        if not isinstance(error, OSError):
            break
        if (error.errno == errno.EPERM and not is_of_tls(error)) or is_lookup(error) or is_refused_semaphore(error):
            return error
        error = error.__cause__ or error.__context__
    return None


def is_of_tls(error: OSError) -> bool:
    """Tell whether it is an error of OpenSSL, whose numbers mean something else."""
    return any(each.__name__ == "SSLError" for each in type(error).__mro__)


def is_lookup(error: OSError) -> bool:
    return type(error).__name__ == "gaierror"


def innermost_call(error: BaseException) -> str:
    trace = error.__traceback__
    if trace is None:
        return "it"
    while trace.tb_next is not None and trace.tb_next.tb_frame.f_code.co_filename != NOTES:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    if code.co_filename != FILE_NAME:
        return f"{trace.tb_frame.f_globals.get('__name__')}.{code.co_qualname}"
    return source_of(traceback.extract_tb(trace, 1)[0])


def source_of(frame: traceback.FrameSummary) -> str:
    if frame.lineno != frame.end_lineno or frame.colno is None or frame.end_colno is None:
        return str(frame.line)
    # Positions count bytes of UTF-8, and the summary's own line is stripped.
    line = linecache.getline(FILE_NAME, frame.lineno or 0).encode()
    return line[frame.colno : frame.end_colno].decode("utf-8", "replace")


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
        trace = traceback.TracebackException.from_exception(error, limit=-FRAMES_MAX)
        drop_own_frames(trace, 0)
        return "".join(trace.format())
    except BaseException:  # noqa: BLE001  # formatting calls the script's own methods
        return ""


def drop_own_frames(trace: traceback.TracebackException | None, depth: int) -> None:
    if trace is None or depth > CAUSES_MAX:
        return
    trace.stack = traceback.StackSummary.from_list([f for f in trace.stack if not f.filename.startswith(OWN_FOLDER)])
    drop_own_frames(trace.__cause__, depth + 1)
    drop_own_frames(trace.__context__, depth + 1)


def cut(text: str, size_max: int) -> str:
    return text if len(text) <= size_max else text[:size_max] + "..."
