"""Folders for servers and sandboxes of tests."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

_DISK = Path("/tmp")
_MEMORY = Path("/dev/shm")
_MEMORY_MIN = 1024**3
"""Room for the servers of some runs of the suite at once, each with a few databases."""


@contextlib.contextmanager
def shared_folder(parent: Path = _DISK) -> Iterator[Path]:
    """Yield a folder that users of workers and servers may enter; for root, pytest's own folders are private.

    Its path is short enough for Unix sockets below it.
    """
    with tempfile.TemporaryDirectory(prefix="pgl-", dir=parent, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def quick_parent() -> Path:
    """Return where files of databases are made quickest: in memory if there is room, and programs may run there.

    A clone of a database is some 400 files, which take 20 ms in memory and 400 ms on ext4.
    """
    try:
        facts = os.statvfs(_MEMORY)
    except FileNotFoundError:
        return _DISK
    fits = facts.f_bavail * facts.f_frsize >= _MEMORY_MIN and not facts.f_flag & os.ST_NOEXEC
    return _MEMORY if fits and os.access(_MEMORY, os.W_OK) else _DISK
