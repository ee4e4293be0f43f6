"""What processes use, read from /proc."""

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import frozen
from typing_extensions import override

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MIB = 1024 * 1024
_STRANGER_SHARE = 0.05
_WORKER_DEPTH = 4
"""Process namespaces: of the host, the launcher, the sandbox and the worker."""
_WATCH_S = 1.0
_GROUP = "/pglambda-"


@frozen
class ProcessFacts:
    """One process: its parent, its name, processor seconds of its own and of children that it has buried."""

    pid: int
    parent: int
    name: str
    own_s: float
    buried_s: float


@frozen
class Stranger:
    """A process that is not part of the benchmark and takes more than 5 % of a core."""

    pid: int
    name: str
    share: float

    @override
    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid}) takes {self.share:.0%} of a core"


@frozen
class Memory:
    """MiB of a process tree: PSS shares out what several map, RSS counts it for each; None where not readable."""

    pss_mib: float | None
    rss_mib: float


def processor_s(root: int) -> float:
    """Return the processor seconds of a process and all that descends from it."""
    table = _read_table()
    return sum(table[pid].own_s + table[pid].buried_s for pid in _tree(table, root))


KINDS = ("service", "PostgreSQL", "workers")
_KINDS_BY_NAME = {"postgres": "PostgreSQL", "bwrap": "workers"}


def processor_s_by_kind(root: int) -> Mapping[str, float]:
    """Return the processor seconds of a service and all that descends from it, by kind of process."""
    table = _read_table()
    seconds = dict.fromkeys(KINDS, 0.0)
    kinds: dict[int, str] = {}
    for pid in _tree(table, root):
        facts = table[pid]
        kinds[pid] = _KINDS_BY_NAME.get(facts.name, kinds.get(facts.parent, KINDS[0]))
        seconds[kinds[pid]] += facts.own_s
        # A zygote collects its dead workers; a service collects what it has started, workers included.
        seconds[kinds[pid] if kinds[pid] != KINDS[0] else KINDS[2]] += facts.buried_s
    return seconds


def memory(root: int) -> Memory:
    """Return the memory of a process and all that descends from it."""
    tree = _tree(_read_table(), root)
    shares = [_pss_bytes(pid) for pid in tree]
    known = [share for share in shares if share is not None]
    pss_mib = sum(known) / _MIB if len(known) == len(shares) else None
    return Memory(pss_mib, sum(map(_rss_bytes, tree)) / _MIB)


def worker_private_bytes(root: int) -> Mapping[str, list[int]]:
    """Return the private dirty memory of each worker of a service, by language; a worker is process 1 of its own."""
    found: dict[str, list[int]] = {"python": [], "nodejs": []}
    for pid in _tree(_read_table(), root):
        try:
            numbers = _lines_of(f"/proc/{pid}/status")["NSpid"].split()
            program = Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0]
            dirty = _lines_of(f"/proc/{pid}/smaps_rollup")["Private_Dirty"]
        except (OSError, KeyError):
            continue
        if len(numbers) == _WORKER_DEPTH and numbers[-1] == "1":
            found["nodejs" if program.endswith(b"node") else "python"].append(int(dirty.split()[0]) * 1024)
    return found


def kernel_mib_of_workers(root: int) -> float:
    """Return the kernel memory of the control group of a service's workers; 0 if they have none."""
    for pid in _tree(_read_table(), root):
        for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if _GROUP in path and controllers == "memory":
                return int(Path(f"/sys/fs/cgroup/memory{path}/memory.kmem.usage_in_bytes").read_text("utf-8")) / _MIB
            if _GROUP in path and not controllers:
                statistics = Path(f"/sys/fs/cgroup{path}/memory.stat").read_text("utf-8").splitlines()
                return sum(int(each.split()[1]) for each in statistics if each.startswith("kernel ")) / _MIB
    return 0.0


def _lines_of(path: str) -> Mapping[str, str]:
    lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    return {name: value for name, _, value in (line.partition(":") for line in lines)}


def busy_s() -> float:
    """Return the processor seconds that all cores have been at work since the machine's start."""
    user, nice, system, _idle, _waiting, *interrupts = _processor_ticks()
    return (user + nice + system + sum(interrupts[:2])) * _TICK_S


def strangers(ours: int) -> list[Stranger]:
    """Watch for a second, and return who takes more than 5 % of a core, other than the tree of `ours`."""
    before = _read_table()
    time.sleep(_WATCH_S)
    after = _read_table()
    own = set(_tree(after, ours))
    found = [
        Stranger(pid, facts.name, (facts.own_s - before[pid].own_s) / _WATCH_S)
        for pid, facts in after.items()
        if pid in before and pid not in own
    ]
    return sorted((each for each in found if each.share > _STRANGER_SHARE), key=lambda each: -each.share)


def _processor_ticks() -> list[int]:
    first, _, _ = Path("/proc/stat").read_text(encoding="utf-8").partition("\n")
    return [int(word) for word in first.split()[1:]]


def _read_table() -> Mapping[int, ProcessFacts]:
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208  # a thousand Paths cost more
    return {facts.pid: facts for facts in map(_read, pids) if facts is not None}


def _read(pid: int) -> ProcessFacts | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    name = text[text.index("(") + 1 : text.rindex(")")]
    _, parent, *rest = text[text.rindex(")") + 2 :].split()
    user, system, buried_user, buried_system = map(int, rest[9:13])
    return ProcessFacts(pid, int(parent), name, (user + system) * _TICK_S, (buried_user + buried_system) * _TICK_S)


def _tree(table: Mapping[int, ProcessFacts], root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for facts in table.values():
        children.setdefault(facts.parent, []).append(facts.pid)
    return list(_descend(children, root)) if root in table else []


def _descend(children: Mapping[int, Iterable[int]], root: int) -> Iterable[int]:
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += children.get(pid, ())


def _pss_bytes(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except ProcessLookupError:
        return 0
    except OSError:
        return None
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _rss_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]) * _PAGE_BYTES
    except OSError:
        return 0
