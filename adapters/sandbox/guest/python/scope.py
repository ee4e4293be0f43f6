"""What executions share in a worker: recorded before the first of them, put back after each.

docs/scripts.md lists what that is. A worker is not used again if it finds a change that it cannot put back.
"""

# ruff: noqa: PTH101, PTH106, PTH108, PTH116  # pathlib would be half of the start

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # functions of `signal` call it
import builtins
import fcntl
import gc
import os
import select
import signal
import sys
import time
from io import TextIOWrapper
from operator import attrgetter

from .notes import notes

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    import types
    from collections.abc import Callable
    from typing import Any

SCRATCH = "/tmp"  # noqa: S108  # the sandbox's own
UMASK = 0o022
STREAMS = (0, 1, 2)
OUTPUTS = (1, 2)
SETTINGS = ("encoding", "errors", "line_buffering", "write_through")
"""What scripts may change by `reconfigure`, except the ends of lines, which no stream tells."""
settings_of = attrgetter(*SETTINGS)
BUILTINS = dict(vars(builtins))
lasting: list[Callable[[str], bool]] = []
"""Tell by its name whether a module stays although no file shows that a script has not made it."""


def enter_scratch() -> None:
    """Make the scratch folder the current one, and clear the environment."""
    os.chdir(SCRATCH)
    os.environ.clear()


def keep_modules_of(is_theirs: Callable[[str], bool]) -> None:
    """Keep modules and importers that are `is_theirs`: packages make some by hand, at their first import only."""
    lasting.append(is_theirs)


def restore_builtins() -> None:
    """Put the built-in names back, at once after a script: this program uses them."""
    restore_names(builtins.__dict__, BUILTINS)


def restore_names(names: dict[str, Any], expected: dict[str, Any]) -> None:
    """Put the names of a module back. No values are compared: an object of a script may claim to be equal to any."""
    names.update(expected)
    if len(names) != len(expected):
        for name in names.keys() - expected.keys():
            del names[name]


class ExecutionScope:
    """What an execution finds in the interpreter and in its process."""

    def __init__(self) -> None:
        self.interpreter = InterpreterState()
        self.process = ProcessState()
        self.scratch = Scratch()
        self.descriptors = OwnDescriptors()
        notes.are_changed = False

    def restore(self) -> bool:
        """Put everything back; return whether that is possible. Threads are counted from outside."""
        if notes.are_changed:
            self.process.restore_signals()
            self.interpreter.restore_settings()
            os.umask(UMASK)
        self.interpreter.restore()
        self.process.restore()
        if not self._is_released():
            gc.collect()  # objects of the script may hold files
            if not self._is_released():
                return False
        notes.are_changed = False
        return not notes.are_lasting

    def _is_released(self) -> bool:
        return self.scratch.restore() and self.descriptors.are_unchanged()


class InterpreterState:
    """The state of the interpreter that is not in an execution's own globals."""

    def __init__(self) -> None:
        lists: tuple[list[Any], ...] = (sys.path, sys.meta_path, sys.path_hooks, sys.argv, gc.callbacks)
        self.names = dict(vars(sys))
        self.lists = [(each, list(each)) for each in lists]
        self.importers = dict(sys.path_importer_cache)
        self.modules = set(sys.modules)
        self.recursion_limit = sys.getrecursionlimit()
        self.digits_max = sys.get_int_max_str_digits()
        self.switch_interval = sys.getswitchinterval()
        self.thresholds = gc.get_threshold()
        self.streams = [
            (each, settings_of(each)) for each in (sys.stdout, sys.stderr) if isinstance(each, TextIOWrapper)
        ]

    def restore(self) -> None:
        """Put back what a script changes without a call that is noted."""
        sys.settrace(None)
        sys.setprofile(None)
        restore_names(sys.__dict__, self.names)
        if lasting:
            self._keep_importers()
        for own, content in self.lists:
            own[:] = content
        restore_names(sys.path_importer_cache, self.importers)
        for stream, settings in self.streams:
            stream.flush()
            if settings_of(stream) != settings:
                stream.reconfigure(**dict(zip(SETTINGS, settings, strict=True)))
        self._forget_modules()

    def flush(self) -> bool:
        """Write what the script has printed; return True."""
        for stream, _ in self.streams:
            stream.flush()
        return True

    def restore_settings(self) -> None:
        """Put back what a script changes by calls that are noted."""
        sys.setrecursionlimit(self.recursion_limit)
        sys.set_int_max_str_digits(self.digits_max)
        sys.setswitchinterval(self.switch_interval)
        sys.set_asyncgen_hooks(None, None)
        sys.set_coroutine_origin_tracking_depth(0)
        gc.enable()
        gc.set_threshold(*self.thresholds)
        gc.set_debug(0)

    def _keep_importers(self) -> None:
        own, content = next(each for each in self.lists if each[0] is sys.meta_path)
        known = {id(each) for each in content}
        content += [each for each in own if id(each) not in known and is_lasting(type(each).__module__)]

    def _forget_modules(self) -> None:
        if len(sys.modules) == len(self.modules):
            return
        for name in set(sys.modules) - self.modules:
            if is_own_module(sys.modules[name]) and not is_lasting(name):
                del sys.modules[name]
            else:
                self.modules.add(name)


def is_lasting(name: str) -> bool:
    """Tell whether a module of this name stays, or the importer whose class it has."""
    return any(is_theirs(name) for is_theirs in lasting)


def is_own_module(module: types.ModuleType) -> bool:
    """Tell whether a script has made the module, by hand or as a file."""
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    return origin is None or origin.startswith(SCRATCH)


class ProcessState:
    """Signals, environment, time zone and current folder."""

    def __init__(self) -> None:
        self.signals = sorted(signal.valid_signals())
        self.handlers = [_signal.getsignal(each) for each in self.signals]
        self.environment = os.environ
        self.variables: dict[str, str] = {}
        self.time_zone = time.tzname
        os.umask(UMASK)

    def provide(self, variables: dict[str, str]) -> None:
        """Give scripts these environment variables from now on."""
        self.environment.update(variables)
        self.variables = variables

    def restore_signals(self) -> None:
        """End the timers, and put handlers and the mask of signals back."""
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for number, handler in zip(self.signals, self.handlers, strict=True):
            if _signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def restore(self) -> None:
        """Put the rest back."""
        os.environ = self.environment  # noqa: B003  # a script may have put another object here
        if self.environment:
            self.environment.clear()
        if self.variables:
            self.environment.update(self.variables)
        # Each tzset() makes a new tuple of names.
        if time.tzname is not self.time_zone:
            os.unsetenv("TZ")  # a script may have set it by putenv()
            time.tzset()
            self.time_zone = time.tzname
        os.chdir(SCRATCH)


class Scratch:
    """The folder of the script's own files."""

    def __init__(self) -> None:
        self.mode = os.stat(SCRATCH).st_mode
        self.free = os.statvfs(SCRATCH)
        self._mark()

    def _mark(self) -> None:
        # Files that come and go set this time, however soon after each other; other changes set the time of changes.
        os.utime(SCRATCH, (0, 0))
        self.changed_ns = os.stat(SCRATCH).st_ctime_ns

    def restore(self) -> bool:
        """Remove everything in it; return whether all its memory is free. Open and mapped files still take some."""
        now = os.stat(SCRATCH)
        if now.st_mtime == 0 and now.st_ctime_ns == self.changed_ns:
            return True
        os.chmod(SCRATCH, self.mode & 0o7777)
        empty(SCRATCH)
        for name in os.listxattr(SCRATCH):
            os.removexattr(SCRATCH, name)
        if os.statvfs(SCRATCH) != self.free:
            return False
        self._mark()
        return True


class OwnDescriptors:
    """The descriptors that the worker has before any script, and the lowest free one."""

    def __init__(self) -> None:
        free = os.dup(0)
        os.close(free)
        self.poll = select.poll()
        # A file in place of an output can be read at once, and a pipe cannot.
        for descriptor in range(free + 1):
            self.poll.register(descriptor, select.POLLIN if descriptor in OUTPUTS else 0)
        self.expected = [(free, select.POLLNVAL)]
        self.files = self._files()

    def are_unchanged(self) -> bool:
        """Tell whether all of them are open, the streams are the same, and the lowest free one is still free."""
        if self.poll.poll(0) != self.expected:
            return False
        return not notes.are_changed or self._files() == self.files

    def _files(self) -> list[tuple[tuple[int, ...], int]]:
        """Return inode, device and flags of each stream."""
        return [(os.fstat(each)[1:3], fcntl.fcntl(each, fcntl.F_GETFL)) for each in STREAMS]


def empty(folder: str) -> None:
    """Remove everything in the folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                os.chmod(entry.path, 0o700)
                empty(entry.path)
                os.rmdir(entry.path)
            else:
                os.unlink(entry.path)
