"""Which core does what, and what kind of machine this is."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen


@frozen
class Cores:
    """The core of the server under test, and the one that the load and PostgreSQL share."""

    server: int
    load: int

    @classmethod
    def choose(cls) -> "Cores":
        """Take the first two cores that this process may use, or the only one twice."""
        allowed = sorted(os.sched_getaffinity(0))
        return cls(allowed[0], allowed[min(1, len(allowed) - 1)])

    @property
    def apart(self) -> bool:
        """Whether the server has a core of its own."""
        return self.server != self.load


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Run on one core, or on all of the machine; what is started meanwhile stays there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1) if core is None else {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def describe() -> dict[str, object]:
    """Return what measurements depend on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
