"""The folder of a host's trees: complete ones by their digest, partial ones, and who uses which."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from attrs import define, field, frozen

from adapters.environments.archive import plain
from domain.environments.tree import BadTree, TreeJudge, TreeLimits

_PARTIAL = ".partial"
_SUM = ".sum"
"""A file beside a tree: the SHA-256 of its plain bytes, and the bytes of its files."""
_MODE = 0o755


@define(eq=False)
class Locked:
    """A shared lock on a folder; no process removes the folder meanwhile."""

    _descriptor: int = field()
    _is_released: bool = field(default=False, init=False)

    def release(self) -> None:
        """Release the lock; idempotent."""
        if not self._is_released:
            self._is_released = True
            os.close(self._descriptor)


@frozen
class PartialTree:
    """A tree that is being written. It becomes a tree by `complete`; `close` removes what has not."""

    path: Path
    _folder: "TreeFolder"
    _digest: str
    _lock: Locked

    def complete(self, plain_digest: str, size: int) -> None:
        """Give the tree its name; one of another process may have it already, with the same content."""
        _sync(self.path)
        self._folder.note(self._digest, plain_digest, size)
        with contextlib.suppress(OSError):  # another process was first
            self.path.rename(self._folder.path / self._digest)
        _sync(self._folder.path)

    def close(self) -> None:
        """Remove what has not become a tree."""
        self._lock.release()
        shutil.rmtree(self.path, ignore_errors=True)


async def begun(beginning: "asyncio.Future[PartialTree]") -> PartialTree:
    """Wait for `TreeFolder.begin` on another thread; a caller that is cancelled leaves no partial tree."""
    try:
        return await asyncio.shield(beginning)
    except asyncio.CancelledError:
        await asyncio.wait([beginning])
        if not beginning.cancelled() and beginning.exception() is None:
            beginning.result().close()
        raise


@frozen
class TreeFolder:
    """Trees below `path`. Several processes of a host may share it.

    A kill at any point leaves a partial tree, which `prepare` removes, or a complete one.
    """

    path: Path

    def prepare(self) -> None:
        """Make the folder, and remove partial trees that no process writes; raises OSError."""
        self.path.mkdir(mode=_MODE, parents=True, exist_ok=True)
        self.path.chmod(_MODE)
        for each in self.path.glob(f"*{_PARTIAL}"):
            _remove_unused(each)

    def lock(self, digest: str) -> Locked | None:
        """Return a lock on a tree; None if it is not here."""
        return _locked(self.path / digest, fcntl.LOCK_SH)

    def lock_alone(self) -> Locked | None:
        """Return a lock that one process of the host has at a time; None if another one has it, or without the folder.

        It ends with the process. It does not hinder those who use or write trees.
        """
        return _locked(self.path, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def begin(self, digest: str) -> PartialTree:
        """Return an empty folder for a tree; raises OSError."""
        path = Path(tempfile.mkdtemp(prefix=f"{digest}.", suffix=_PARTIAL, dir=self.path))
        lock = _locked(path, fcntl.LOCK_SH)
        if lock is None:
            raise FileNotFoundError(f"{path} was removed by another process")
        path.chmod(_MODE)
        return PartialTree(path, self, digest, lock)

    def note(self, digest: str, plain_digest: str, size: int) -> None:
        """Record what a tree is verified by, before it gets its name."""
        descriptor, name = tempfile.mkstemp(prefix=f"{digest}.", suffix=_PARTIAL, dir=self.path)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{plain_digest} {size}\n")
            file.flush()
            os.fsync(descriptor)
        Path(name).rename(self._sum(digest))

    def is_unchanged(self, digest: str, limits: TreeLimits) -> bool:
        """Return whether every file of a tree is unchanged, and no other one is there."""
        noted, computed = self._noted(digest), hashlib.sha256()
        try:
            for piece in plain(self.path / digest, TreeJudge(limits)):
                computed.update(piece)
        except (BadTree, OSError):
            return False
        return noted is not None and noted[0] == computed.hexdigest()

    def touch(self, digest: str) -> None:
        """Note that a tree is used now."""
        with contextlib.suppress(OSError):
            os.utime(self._sum(digest))

    def sizes(self) -> Mapping[str, int]:
        """Return the bytes of each tree, the one that was not used for longest first."""
        sums = sorted(self.path.glob(f"*{_SUM}"), key=_time_of)
        noted = {each.stem: self._noted(each.stem) for each in sums}
        return {digest: facts[1] for digest, facts in noted.items() if facts and (self.path / digest).is_dir()}

    def evict(self, digest: str) -> bool:
        """Remove a tree unless a process uses it; return whether it is gone."""
        is_gone = self._take_away(digest, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if is_gone:
            self._sum(digest).unlink(missing_ok=True)
        return is_gone

    def discard(self, digest: str) -> None:
        """Take a changed tree away, also from those who use it: they keep its files, unnamed."""
        self._take_away(digest, fcntl.LOCK_SH)

    def _take_away(self, digest: str, how: int) -> bool:
        lock = _locked(self.path / digest, how)
        if lock is None:
            return False
        # Under another name first: a kill leaves no tree with some of its files.
        away = Path(tempfile.mkdtemp(prefix=f"{digest}.", suffix=_PARTIAL, dir=self.path))
        try:
            (self.path / digest).rename(away / digest)
        finally:
            lock.release()
            shutil.rmtree(away, ignore_errors=True)
        return True

    def _sum(self, digest: str) -> Path:
        return self.path / f"{digest}{_SUM}"

    def _noted(self, digest: str) -> tuple[str, int] | None:
        try:
            plain_digest, size = self._sum(digest).read_text().split()
            return plain_digest, int(size)
        except (OSError, ValueError):
            return None


def _locked(path: Path, how: int) -> Locked | None:
    """Return a lock on a folder that still has its name; None without one, or if another process prevents it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, how)
        mine, named = os.fstat(descriptor), path.stat()
        if (mine.st_dev, mine.st_ino) == (named.st_dev, named.st_ino):
            return Locked(descriptor)
    except OSError:
        pass
    os.close(descriptor)
    return None


def _remove_unused(path: Path) -> None:
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    lock = _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if lock is not None:
        shutil.rmtree(path, ignore_errors=True)
        lock.release()


def _time_of(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
