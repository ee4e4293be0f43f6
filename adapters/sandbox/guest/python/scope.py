"""What executions share in a worker: recorded before the first of them, put back after each."""

# ruff: noqa: PTH101, PTH106, PTH108, PTH116  # pathlib would be half of the start

from __future__ import annotations

import builtins
import gc
import os
import select
import signal
import sys

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    import types

SCRATCH = "/tmp"  # noqa: S108  # the sandbox's own
BUILTINS = dict(vars(builtins))


def enter_scratch() -> None:
    """Make the scratch folder the current one, and clear the environment."""
    os.chdir(SCRATCH)
    os.environ.clear()


def restore_builtins() -> None:
    """Put the built-in names back, at once after a script: this program uses them."""
    if builtins.__dict__ != BUILTINS:
        changed = builtins.__dict__
        changed.clear()
        changed.update(BUILTINS)


class ExecutionScope:
    """What an execution finds in the interpreter."""

    def __init__(self) -> None:
        self.streams = (sys.stdout, sys.stderr, sys.stdin)
        self.path = list(sys.path)
        self.modules = set(sys.modules)
        self.descriptors = OwnDescriptors()
        self.environment = os.environ
        self.scratch = os.stat(SCRATCH)
        self.recursion_limit = sys.getrecursionlimit()

    def restore(self) -> bool:
        """Put everything back; return whether that is possible. Threads are counted from outside."""
        self._restore_interpreter()
        self._restore_environment()
        self._forget_modules()
        self._restore_scratch()
        return self._descriptors_are_closed()

    def _restore_interpreter(self) -> None:
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

    def _restore_environment(self) -> None:
        os.environ = self.environment  # noqa: B003  # a script may have put another object here
        if self.environment:
            self.environment.clear()
        os.chdir(SCRATCH)

    def _forget_modules(self) -> None:
        if len(sys.modules) == len(self.modules):
            return
        for name in set(sys.modules) - self.modules:
            if is_own_module(sys.modules[name]):
                del sys.modules[name]
            else:
                self.modules.add(name)

    def _restore_scratch(self) -> None:
        scratch = os.stat(SCRATCH)
        if scratch.st_mode != self.scratch.st_mode:
            os.chmod(SCRATCH, self.scratch.st_mode & 0o7777)
        # The size of a folder in a tmpfs grows with its entries. Reading it takes a quarter of the time of a listing.
        if scratch.st_size != self.scratch.st_size:
            empty(SCRATCH)

    def _descriptors_are_closed(self) -> bool:
        if self.descriptors.are_unchanged():
            return True
        gc.collect()
        return self.descriptors.are_unchanged()


def is_own_module(module: types.ModuleType) -> bool:
    """Tell whether a script has made the module, by hand or as a file."""
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    return origin is None or origin.startswith(SCRATCH)


class OwnDescriptors:
    """The descriptors that the worker has before any script, and the lowest free one."""

    def __init__(self) -> None:
        free = os.dup(0)
        os.close(free)
        self.poll = select.poll()
        for descriptor in range(free + 1):
            self.poll.register(descriptor, 0)
        self.expected = [(free, select.POLLNVAL)]

    def are_unchanged(self) -> bool:
        """Tell whether all of them are open, and the lowest free one is still free."""
        return self.poll.poll(0) == self.expected


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
