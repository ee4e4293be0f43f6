"""What a service has at one moment: processes, descriptors, mounts, memory."""

import contextlib
import gc
import os
import re
from collections.abc import Iterator
from pathlib import Path

from attrs import asdict, frozen

_KIB = 1024
_WORKER = (b"/pglambda/", b"bwrap")


@frozen
class Census:
    """Counts, and memory in bytes; `namespaces` are mount namespaces, each with a scratch folder of its own;
    `orphans`, `zombies` and `scratch_memory` are the whole host's, the others those of this service."""

    processes: int
    orphans: int
    zombies: int
    descriptors: int
    mounts: int
    namespaces: int
    memory: int
    scratch_memory: int

    def line(self) -> str:
        """Return it in one line."""
        return ", ".join(f"{name} {count:,}" for name, count in asdict(self).items())


def take_census() -> Census:
    """Count now."""
    gc.collect()
    own = descendants()
    return Census(
        processes=len(own),
        orphans=len(_orphans()),
        zombies=zombies(),
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
        mounts=len(Path("/proc/self/mountinfo").read_text().splitlines()),
        namespaces=len(set(_mount_namespaces(own))),
        memory=_kib("/proc/self/status", "VmRSS") * _KIB,
        scratch_memory=_kib("/proc/meminfo", "Shmem") * _KIB,
    )


def zombies() -> int:
    """Return the number of processes that have ended and are not collected yet."""
    return sum(1 for status in _read_all("stat") if status.rpartition(b")")[2].split()[0] == b"Z")


def _read_all(name: str) -> Iterator[bytes]:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield (process / name).read_bytes()


def _parents() -> dict[int, int]:
    fields = (status.rpartition(b")") for status in _read_all("stat"))
    return {int(head.split(b" ", 1)[0]): int(rest.split()[1]) for head, _, rest in fields}


def descendants() -> set[int]:
    """Return the processes below this one."""
    root = os.getpid()
    parents, found = _parents(), {root}
    while grown := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= grown
    return found - {root}


def _orphans() -> list[int]:
    """Return the workers of all services on this host whose parent has ended."""
    parents = _parents()
    return [pid for pid in parents if parents[pid] == 1 and any(sign in _command(pid) for sign in _WORKER)]


def _command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _mount_namespaces(pids: set[int]) -> Iterator[str]:
    for pid in pids:
        with contextlib.suppress(OSError):
            yield str(Path(f"/proc/{pid}/ns/mnt").readlink())


def _kib(path: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path(path).read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])
