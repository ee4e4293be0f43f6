"""Processes of a sandbox, and of the host, as tests see them."""

import contextlib
from pathlib import Path

from adapters.sandbox.runner import SandboxScriptRunner
from domain.scripts.ports import Worker


def pid_of(worker: Worker) -> int:
    """Return the process id of a worker that was acquired."""
    return worker.process.launched.pid


def processes_of(runner: SandboxScriptRunner) -> list[int]:
    """Return the process ids of all workers, zygotes and launchers."""
    snapshot = runner.debug_snapshot()
    pids = [*snapshot.workers, *(pid for zygote in snapshot.zygotes for pid in (zygote.launcher_pid, zygote.pid))]
    return [pid for pid in pids if pid is not None]


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def is_running(pid: int | str) -> bool:
    """Distinguish a process from a zombie that its new parent has not collected yet."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def running_as(uid: int) -> list[str]:
    """Return the processes of this user, without zombies."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if path.stat().st_uid == uid and is_running(path.name):
                found.append(path.name)
    return found


def mentioning(text: str) -> list[Path]:
    """Return the processes, without zombies, whose command line contains this text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if text.encode() in path.read_bytes():
                found.append(path)
    return found
