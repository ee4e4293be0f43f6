"""The files of executions: the service adds those that a script finds, and reads those that it leaves."""

# ruff: noqa: D103, PTH101, PTH102, PTH103  # functions of one program; pathlib would be half of the start

from __future__ import annotations

import gc
import os
import stat

from .frames import encode
from .scope import empty

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .scope import ExecutionScope

ROOT, IN, OUT = "/files", "/files/in", "/files/out"
ENTRIES_MAX, LEVELS_MAX, PATH_MAX = 65, 8, 513
"""One entry and one character more than the service takes, so that it sees that there are too many."""
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
ADDED = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
folders: list[FilesFolder] = []


def files_folder() -> FilesFolder:
    """Return the folder of this worker, which is made at the first use."""
    if not folders:
        folders.append(FilesFolder())
    return folders[0]


def holding(scope: ExecutionScope) -> Callable[[], bool]:
    """Return what stands in the place of `scope.restore`, which waits until the files have been read."""
    files_folder()
    return scope.interpreter.flush


def perform(operation: dict[str, Any], body: bytes, scope: ExecutionScope) -> tuple[dict[str, Any], bytes]:
    """Return the header and the body of the reply."""
    try:
        if operation["op"] == "file":
            add(operation["path"], body)
            return {"kind": "stored"}, b""
        if operation["op"] == "list":
            return {"kind": "listed"}, encode(left_files()).encode("utf-8", "replace")
        if operation["op"] == "read":
            return {"kind": "read"}, read(operation["path"], operation["offset"], operation["size"])
        return {"kind": "settled", "reusable": scope.restore() and files_folder().clear()}, b""
    except OSError as error:
        return {"kind": "failed", "message": f"{error.strerror}: {operation.get('path', OUT)}"}, b""


class FilesFolder:
    """The folder /files, which is empty between executions."""

    def __init__(self) -> None:
        self._make()
        self.free = os.statvfs(ROOT)

    def _make(self) -> None:
        for each in (IN, OUT):
            os.mkdir(each, 0o700)

    def clear(self) -> bool:
        """Remove everything in it; return whether all its memory is free. Open and mapped files still take some."""
        os.chmod(ROOT, 0o700)
        for name in os.listxattr(ROOT):
            os.removexattr(ROOT, name)
        empty(ROOT)
        self._make()
        if os.statvfs(ROOT) != self.free:
            gc.collect()  # objects of the script may hold files
        return os.statvfs(ROOT) == self.free


def add(path: str, content: bytes) -> None:
    """Add to the end of a file."""
    files_folder()
    folder, _, name = path.rpartition("/")
    os.makedirs(f"{IN}/{folder}", exist_ok=True)
    descriptor = os.open(f"{IN}/{folder}/{name}", ADDED, 0o600)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
    finally:
        os.close(descriptor)


def left_files() -> list[tuple[str, int]]:
    """Return the path and the size of each regular file, in order. Anything else but a folder has the size -1."""
    found: list[tuple[str, int]] = []
    folder = os.open(OUT, FOLDER)
    try:
        find(found, folder, "", 1)
    finally:
        os.close(folder)
    return found


def find(found: list[tuple[str, int]], folder: int, above: str, level: int) -> None:
    for name in sorted(os.listdir(folder)):
        if len(found) == ENTRIES_MAX:
            return
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode) and level < LEVELS_MAX:
            inner = os.open(name, FOLDER, dir_fd=folder)
            try:
                find(found, inner, f"{above}{name}/", level + 1)
            finally:
                os.close(inner)
        else:
            shown = os.fsencode(above + name).decode("utf-8", "replace")[:PATH_MAX]
            found.append((shown, status.st_size if stat.S_ISREG(status.st_mode) else -1))


def read(path: str, offset: int, size: int) -> bytes:
    """Return these bytes of a file that the script has left, as far as there are any."""
    file = opened(path)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(0, "no regular file")
        return os.pread(file, size, offset)
    finally:
        os.close(file)


def opened(path: str) -> int:
    """Open a file. No part of its path may be a link: a script could have changed it since it was listed."""
    folder = os.open(OUT, FOLDER)
    try:
        *parts, name = path.split("/")
        for each in parts:
            inner = os.open(each, FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(name, FILE, dir_fd=folder)
    finally:
        os.close(folder)
