"""Notes what scripts call that changes their process or their interpreter."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # functions of `signal` call it
import fcntl
import functools
import gc
import os
import posix
import signal
import sys

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Notes:
    """Notes the use of functions that change the process or the interpreter: most executions need no inspection.

    Most of what they change takes a system call to read. What audit hooks and monitoring change cannot be put back.
    """

    CHANGING: tuple[tuple[tuple[Any, ...], tuple[str, ...]], ...] = (
        ((os, posix), ("umask", "dup2", "set_blocking")),
        ((fcntl,), ("fcntl", "ioctl")),
        ((signal, _signal), ("alarm", "setitimer")),
        ((_signal,), ("signal", "pthread_sigmask")),
        ((gc,), ("disable", "set_threshold", "set_debug")),
        (
            (sys,),
            (
                "set_asyncgen_hooks",
                "set_coroutine_origin_tracking_depth",
                "set_int_max_str_digits",
                "setrecursionlimit",
                "setswitchinterval",
            ),
        ),
    )
    LASTING: tuple[tuple[tuple[Any, ...], tuple[str, ...]], ...] = (
        ((sys,), ("addaudithook",)),
        ((getattr(sys, "monitoring", None),), ("use_tool_id",)),
    )

    def __init__(self) -> None:
        self.are_changed = self.are_lasting = False
        for modules, names in self.CHANGING:
            self._note(modules, names, "are_changed")
        for modules, names in self.LASTING:
            if modules[0] is not None:
                self._note(modules, names, "are_lasting")

    def _note(self, modules: tuple[Any, ...], names: tuple[str, ...], as_what: str) -> None:
        for name in names:
            noted = self._noted(getattr(modules[0], name), as_what)
            for module in modules:
                setattr(module, name, noted)

    def _noted(self, function: Callable[..., Any], as_what: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def note(*given: Any, **named: Any) -> Any:
            setattr(self, as_what, True)
            return function(*given, **named)

        return note


# Made by the zygote, once for all workers.
notes = Notes()
