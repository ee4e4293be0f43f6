"""The name under which a command claims a takeover, and whether the process of such a name has ended."""

import os
import re
import socket
from pathlib import Path

_NAME = re.compile(r"pglambda takeover (?P<command>\S+), process (?P<pid>\d+) started (?P<start>\d+) at (?P<host>.+)")
_START_FIELD = 19
"""The place of the start time in /proc/PID/stat, behind the name of the program in parentheses."""


def holder_of(command: str) -> str:
    """Return the name of this process."""
    pid = os.getpid()
    return f"pglambda takeover {command}, process {pid} started {_started(pid)} at {socket.gethostname()}"


def has_ended(holder: str) -> bool:
    """Return whether the holder was a process of this host, and has ended; of another host nothing is known."""
    named = _NAME.fullmatch(holder)
    if named is None or named["host"] != socket.gethostname():
        return False
    return _started(int(named["pid"])) != int(named["start"])


def _started(pid: int) -> int:
    """Return when a process started, in ticks since the boot; 0 if there is none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[_START_FIELD])
    except (OSError, IndexError, ValueError):
        return 0
