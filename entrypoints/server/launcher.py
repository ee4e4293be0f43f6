"""Starts programs that end with this process."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_CHILD_EXEC = str(Path(__file__).with_name("child_exec.py"))
_UNCHANGED = ("-1", "-1")


def launch(  # noqa: PLR0913  # each is one property of a process
    argv: Sequence[str],
    *,
    credentials: tuple[int, int] | None = None,
    death_signal: int = signal.SIGKILL,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program by its path, in its own session, as (uid, gid) where given; `env` None is this process's own.

    The kernel sends it `death_signal` as soon as the calling *thread* ends, so servers are started by the main thread.
    """
    user = map(str, credentials) if credentials else _UNCHANGED
    prologue = (sys.executable, "-I", "-S", _CHILD_EXEC, str(os.getpid()), str(int(death_signal)), *user)
    return subprocess.Popen(  # noqa: S603  # every caller names the program by its path
        (*prologue, *argv),
        env=env,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=pass_fds,
        start_new_session=True,
    )
