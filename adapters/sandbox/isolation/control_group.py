"""A control group that limits the memory and the processes of all workers of a service together."""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path

from attrs import frozen

_PREFIX = "pglambda-"
_PROCESSES = "cgroup.procs"
_CONTROLLERS = ("memory", "pids")
_MEMORY_FILES = {1: "memory.limit_in_bytes", 2: "memory.max"}
_USED_FILES = {1: "memory.usage_in_bytes", 2: "memory.current"}
_NEARLY_FULL = 0.9
_DROPPED = {
    1: re.compile(r"^total_inactive_file (\d+)$", re.MULTILINE),
    2: re.compile(r"^inactive_file (\d+)$", re.MULTILINE),
}
_KILLS_FILES = {1: "memory.oom_control", 2: "memory.events"}
_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)

_numbers = count(1)
"""Number the groups of a process: a service that ends must not remove the group of another one."""

_NAMESPACE = Path("/proc/self/ns/pid")
"""The namespace of process ids: containers may share the folder of groups, and no process sees those of another one."""

_REMEDY = "With systemd, set Delegate=yes and DelegateSubgroup=service; in a container, mount cgroups writable."
USED_UP = "the memory for all scripts of the host together (SANDBOX_MEMORY_MB and a reserve) was used up"


class NoControlGroup(Exception):
    """The host does not allow a control group. The text says why."""


@frozen
class ControlGroup:
    """The group's folders: one for version 2, or one for each controller of version 1."""

    version: int
    folders: tuple[Path, ...]
    memory_bytes: int = 0
    """The limit of its memory when it was made."""

    def reserve(self, memory_bytes: int) -> None:
        """Allow so much memory beside the limit that it was made with, in place of what was reserved before."""
        with contextlib.suppress(OSError):  # version 1 refuses a limit below what is in use
            limit = str(self.memory_bytes + memory_bytes)
            (self.folders[0] / _MEMORY_FILES[self.version]).write_text(limit, encoding="ascii")

    def is_nearly_full(self) -> bool:
        """Return whether its processes use nine tenths of its limit, but for pages that the kernel can drop."""
        folder = self.folders[0]
        with contextlib.suppress(OSError, ValueError):
            used, limit = (
                int((folder / files[self.version]).read_text(encoding="ascii"))
                for files in (_USED_FILES, _MEMORY_FILES)
            )
            dropped = _DROPPED[self.version].search((folder / "memory.stat").read_text(encoding="ascii"))
            return used - int(dropped[1] if dropped else 0) > _NEARLY_FULL * limit
        return False

    def admit(self, pid: int) -> None:
        """Add a process, and every process that it will start; raises OSError."""
        for folder in self.folders:
            (folder / _PROCESSES).write_text(str(pid), encoding="ascii")

    def memory_kills(self) -> int | None:
        """Return the number of its processes that the kernel has killed for lack of memory; None if unknown."""
        with contextlib.suppress(OSError):
            found = _KILLS.search((self.folders[0] / _KILLS_FILES[self.version]).read_text(encoding="ascii"))
            return int(found[1]) if found else None
        return None

    def close(self) -> None:
        """Remove the group if it is empty. Otherwise a later start removes it."""
        for folder in self.folders:
            with contextlib.suppress(OSError):
                folder.rmdir()


@frozen
class GroupLimits:
    """Limits of all workers together. Memory is in bytes, with kernel memory and scratch files."""

    memory_bytes: int
    processes: int


def make_control_group(limits: GroupLimits, root: Path = Path("/")) -> ControlGroup:
    """Make a group below the service's own; raises NoControlGroup."""
    mount = root / "sys/fs/cgroup"
    try:
        own = _own_groups((root / "proc/self/cgroup").read_text(encoding="ascii"))
        name = f"{_prefix()}{os.getpid()}-{next(_numbers)}"
        if (mount / "cgroup.controllers").exists():
            return _version_2(mount / own[""].lstrip("/"), name, limits)
        return _version_1(mount, own, name, limits)
    except (OSError, KeyError) as error:
        raise NoControlGroup(f"the service may not make control groups: {error}. {_REMEDY}") from error


def _own_groups(listing: str) -> Mapping[str, str]:
    """Return the service's group of each controller; the key of version 2 is ""."""
    fields = (line.split(":", 2) for line in listing.splitlines())
    return {controller: path for _, controllers, path in fields for controller in controllers.split(",")}


def _version_1(mount: Path, own: Mapping[str, str], name: str, limits: GroupLimits) -> ControlGroup:
    folders = []
    for controller in _CONTROLLERS:
        parent = mount / controller / own[controller].lstrip("/")
        folders.append(_make_folder(parent if parent.is_dir() else mount / controller, name))
    (folders[0] / _MEMORY_FILES[1]).write_text(str(limits.memory_bytes), encoding="ascii")
    (folders[1] / "pids.max").write_text(str(limits.processes), encoding="ascii")
    return ControlGroup(1, tuple(folders), limits.memory_bytes)


def _version_2(own: Path, name: str, limits: GroupLimits) -> ControlGroup:
    # A group with processes cannot delegate controllers. So the new group is made next to the service's own, if systemd
    # delegates their parent (Delegate=yes, DelegateSubgroup=service).
    last: OSError | None = None
    for parent in (own.parent, own):
        try:
            (parent / "cgroup.subtree_control").write_text("+memory +pids", encoding="ascii")
            folder = _make_folder(parent, name)
            (folder / _MEMORY_FILES[2]).write_text(str(limits.memory_bytes), encoding="ascii")
            (folder / "pids.max").write_text(str(limits.processes), encoding="ascii")
            return ControlGroup(2, (folder,), limits.memory_bytes)
        except OSError as error:
            last = error
    raise NoControlGroup(f"no control group is delegated to the service: {last}. {_REMEDY}")


def _make_folder(parent: Path, name: str) -> Path:
    for old in _abandoned(parent):
        with contextlib.suppress(OSError):
            old.rmdir()
    folder = parent / name
    folder.mkdir()
    return folder


def _prefix() -> str:
    """Return how the names of groups of this namespace of process ids begin."""
    return f"{_PREFIX}{_NAMESPACE.stat().st_ino}-"


def _abandoned(parent: Path) -> Iterator[Path]:
    """Yield the groups of services of this namespace that have ended."""
    prefix = _prefix()
    for folder in parent.glob(f"{prefix}*"):
        pid, _, _ = folder.name.removeprefix(prefix).partition("-")
        if not Path(f"/proc/{pid}").exists():
            yield folder
