"""What a service has at one moment: processes, descriptors, mounts, memory."""

import contextlib
import gc
import re
from collections.abc import Iterator
from pathlib import Path

from attrs import asdict, frozen

_KIB = 1024
_WORKER = (b"/pglambda/worker.", b"bwrap")


@frozen
class Census:
    """Counts, and memory in bytes; `namespaces` are mount namespaces, each with a scratch folder of its own."""

    processes: int
    zombies: int
    descriptors: int
    mounts: int
    namespaces: int
    memory: int
    scratch_memory: int

    def told(self) -> str:
        """Return it in one line."""
        return ", ".join(f"{name} {count:,}" for name, count in asdict(self).items())


def take_census() -> Census:
    """Count now."""
    gc.collect()
    return Census(
        processes=sum(1 for command in _read_all("cmdline") if any(sign in command for sign in _WORKER)),
        zombies=zombies(),
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
        mounts=len(Path("/proc/self/mountinfo").read_text().splitlines()),
        namespaces=len(set(_mount_namespaces())),
        memory=_kib("/proc/self/status", "VmRSS") * _KIB,
        scratch_memory=_kib("/proc/meminfo", "Shmem") * _KIB,
    )


def zombies() -> int:
    """Return how many processes have ended and are not collected yet."""
    return sum(1 for status in _read_all("stat") if status.rpartition(b")")[2].split()[0] == b"Z")


def _read_all(name: str) -> Iterator[bytes]:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield (process / name).read_bytes()


def _mount_namespaces() -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield str((process / "ns" / "mnt").readlink())


def _kib(path: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path(path).read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])
