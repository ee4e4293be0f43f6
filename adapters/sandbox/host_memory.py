"""The memory of this host, or of the container around the service."""

import contextlib
import re
from pathlib import Path

_TOTAL = re.compile(r"^MemTotal:\s+(\d+) kB$", re.MULTILINE)
_ASSUMED = 1 << 30
_CONTAINER_LIMITS = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_of_host(root: Path = Path("/")) -> int:
    """Return the smaller of the machine's memory and the container's limit, in bytes; 1 GiB if neither is known."""
    found = [int(text) for text in _texts(root) if text.isdigit()]
    return min(found, default=_ASSUMED)


def _texts(root: Path) -> list[str]:
    texts = []
    for name in _CONTAINER_LIMITS:
        with contextlib.suppress(OSError):
            texts.append((root / name).read_text(encoding="ascii").strip())
    with contextlib.suppress(OSError):
        total = _TOTAL.search((root / "proc/meminfo").read_text(encoding="ascii"))
        texts.append(str(int(total[1]) * 1024) if total else "")
    return texts
