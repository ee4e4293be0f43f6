"""Processes and files that an earlier server has left on the same data folder."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from adapters.embedded_postgres.account import EmbeddedPostgresError

_POLL_S = 0.02
_KILL_WAIT_S = 5.0


@frozen
class Leftover:
    """A process of an earlier server."""

    pid: int
    is_postmaster: bool


@frozen
class Leftovers:
    """What is left of servers on `folder` that ran as `uid` and have `name` in the process table."""

    folder: Path
    name: str
    uid: int

    def end(self, timeout_s: float) -> None:
        """End every process, by force after `timeout_s`, and remove the pid file; raises EmbeddedPostgresError.

        Only the holder of the folder's lock may call it, because then no service uses such a server.
        """
        self._signal(signal.SIGINT)
        if not self._gone_within(timeout_s):
            self._signal(signal.SIGKILL)
        if not self._gone_within(_KILL_WAIT_S):
            pids = ", ".join(str(found.pid) for found in self.processes())
            raise EmbeddedPostgresError(
                f"Processes of an earlier server on {self.folder} do not end, not even when killed: {pids}. Restart "
                "the machine, or set DATA_DIR to another folder."
            )
        (self.folder / "postmaster.pid").unlink(missing_ok=True)

    def processes(self) -> Iterator[Leftover]:
        """Find the processes by their command lines, which every user may read."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):  # the process has ended meanwhile
                    yield from self._found(entry)

    def _found(self, entry: Path) -> Iterator[Leftover]:
        if entry.stat().st_uid != self.uid:
            return
        argv = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        if Path(argv[0]).name == "postgres" and str(self.folder) in argv:
            yield Leftover(int(entry.name), is_postmaster=True)
        elif argv[0].startswith(f"postgres: {self.name}:"):
            yield Leftover(int(entry.name), is_postmaster=False)

    def _signal(self, number: signal.Signals) -> None:
        for found in self.processes():
            # The postmaster conducts a fast shutdown. A backend without a postmaster notices that itself.
            if found.is_postmaster or number is signal.SIGKILL:
                with suppress(ProcessLookupError):
                    os.kill(found.pid, number)

    def _gone_within(self, timeout_s: float) -> bool:
        return poll(lambda: not any(self.processes()), timeout_s)


def poll(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Wait until the condition holds; return False after the timeout."""
    ends_at = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= ends_at:
            return False
        time.sleep(_POLL_S)
    return True
