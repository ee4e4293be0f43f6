"""Copies of files for a uid that cannot reach the originals."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import evolve, frozen

from adapters.sandbox.runtimes.interpreters import Bind, Interpreter

_LEFT_OUT = shutil.ignore_patterns(
    "site-packages", "dist-packages", "test", "tests", "idlelib", "turtledemo", "ensurepip", "config-*"
)
_PARTIAL = ".partial"
_ABANDONED_S = 600


class ProgramUnreachable(Exception):
    """The workers' uid cannot reach a folder that it needs. The text says what to do."""


def is_reachable(path: Path) -> bool:
    """Tell whether a uid without any rights can read this file or folder."""
    resolved = path.resolve()
    own = stat.S_IROTH | (stat.S_IXOTH if resolved.is_dir() else 0)
    return resolved.stat().st_mode & own == own and all(
        parent.stat().st_mode & stat.S_IXOTH for parent in resolved.parents
    )


@frozen
class Copies:
    """Copies below `folder`. The name of each has its source and its version, and it never changes.

    A process holds a shared lock on each copy that it uses, until it ends. When a copy is made or found, copies of
    other versions of the same source are removed, unless a process has locked them.
    """

    folder: Path

    def prepare(self) -> None:
        """Make the folder; raises ProgramUnreachable if other users cannot reach it, and OSError."""
        self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        if not is_reachable(self.folder):
            raise ProgramUnreachable(
                f"the workers' user cannot reach {self.folder}: set DATA_DIR to a folder that other users may traverse"
            )

    def interpreter(self, interpreter: Interpreter) -> Interpreter:
        """Return the interpreter with reachable sources for all its files."""
        visible = [bind for bind in interpreter.binds if not bind.hidden]
        # A copy does not contain the hidden folders, so there is nothing to cover.
        hidden = [bind for bind in interpreter.binds if bind.hidden and is_reachable(bind.source.parent)]
        return evolve(
            interpreter,
            binds=[*self._reachable_binds(visible), *hidden],
            guest_binds=self._reachable_binds(interpreter.guest_binds),
            package_binds=self._reachable_binds(interpreter.package_binds),
        )

    def _reachable_binds(self, binds: Sequence[Bind]) -> list[Bind]:
        return [evolve(bind, source=self.reachable(bind.source)) for bind in binds]

    def reachable(self, source: Path) -> Path:
        """Return the source itself if it can be reached, and a copy of it otherwise."""
        return source if is_reachable(source) else self.tree([source]) / source.name

    def tree(self, sources: Sequence[Path]) -> Path:
        """Return a folder with copies of these files and folders; makes it atomically at the first use."""
        copy = self.folder / _name_of(sources)
        if not copy.is_dir():
            self._make(copy, sources)
        _use(copy)
        self._remove_others(copy)
        return copy

    def _remove_others(self, copy: Path) -> None:
        """Remove unused copies of other versions of the same source, and copies that were not completed."""
        title = copy.name.rpartition("-")[0]
        now_s = self._now_s()
        for other in self.folder.iterdir():
            is_older = other.name.rpartition("-")[0] == title and not other.name.endswith(_PARTIAL)
            if (is_older or _is_abandoned(other, now_s)) and other != copy and _is_unused(other):
                shutil.rmtree(other, ignore_errors=True)

    def _now_s(self) -> float:
        """Return the time by the clock that dates the files, which may differ from that of this process."""
        with tempfile.TemporaryFile(dir=self.folder) as probe:
            return os.fstat(probe.fileno()).st_mtime

    def _make(self, copy: Path, sources: Sequence[Path]) -> None:
        # Several languages and several services may make the same copy at once.
        partial = Path(tempfile.mkdtemp(prefix=f"{copy.name}.", suffix=_PARTIAL, dir=self.folder))
        with _held(partial):
            for source in sources:
                _copy(source, partial / source.name)
            _open_to_all(partial)
            try:
                partial.rename(copy)
            except OSError:
                # Another process was first, with the same content.
                shutil.rmtree(partial)
                if not copy.is_dir():
                    raise


_used: dict[Path, int] = {}
"""Descriptors of the copies that this process has locked. Several services on one host may share the folder."""


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def _use(copy: Path) -> None:
    if copy not in _used:
        descriptor = os.open(copy, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        _used[copy] = descriptor


def _is_abandoned(partial: Path, now_s: float) -> bool:
    """Tell whether it is so old that no process can be about to lock it."""
    with contextlib.suppress(OSError):
        return partial.name.endswith(_PARTIAL) and now_s - partial.stat().st_mtime > _ABANDONED_S
    return False


def _is_unused(copy: Path) -> bool:
    """Tell whether no process holds the lock."""
    try:
        descriptor = os.open(copy, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _name_of(sources: Sequence[Path]) -> str:
    paths = "\n".join(str(source) for source in sources)
    facts = "\n".join(f"{source.stat().st_mtime_ns} {source.stat().st_size}" for source in sources)
    return f"{sources[0].name}-{_digest(paths)}-{_digest(facts)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=False, ignore=_LEFT_OUT, ignore_dangling_symlinks=True)
    else:
        shutil.copy2(source, target)


def _open_to_all(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
        path.chmod(0o755 if executable else 0o644)
