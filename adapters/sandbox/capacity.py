"""How many workers, and how much memory, the sandbox of this host may have."""

import contextlib
import os
import re
from pathlib import Path

from adapters.sandbox.isolation.control_group import GroupLimits
from adapters.sandbox.options import MIB, PoolLimits, SandboxOptions
from adapters.sandbox.zygote.sandbox_spec import ZYGOTE_PROCESSES
from adapters.sandbox.zygote.zygote_pool import ZYGOTE_MEMORY_MB, ZYGOTES_MAX
from domain.scripts.language import Language

INTERPRETER_MB = {Language.PYTHON: 4, Language.NODEJS: 12}
"""Memory of a worker beside its script, at most: what its end would free, with the kernel's part. An executed Node.js
takes 11 MiB, a fork 3."""
_SHARE_OF_HOST = 0.5
"""The share of the host's memory for workers if no setting says how much."""
_PACKAGES_SHARE = 0.25
"""The share of the host's memory for zygotes with packages."""
_PREWARMED_MEMORY_MB = 32
"""Memory reserved for a worker that is starting or has no script yet. It shares most of that with its zygote."""
_CHECKERS = 3
"""Processes that check scripts of one language: small scripts, large ones, those of slow owners."""
_OTHER_PROCESSES = 128
"""Processes and threads of the egress process."""
_EQUIPPED = 4
"""Zygotes of a language for workers that have no packages: with certificates or not, and with files or not."""
_WITH_AND_WITHOUT_FILES = 2
"""Zygotes of an environment, whose memory the group gets when they start."""
_QUICK_SLOTS_PER_PROCESSOR = 2
"""Workers that a session gets without a wait. More of them take turns on a processor, and each costs a start."""

_TOTAL = re.compile(r"^MemTotal:\s+(\d+) kB$", re.MULTILINE)
_ASSUMED = 1 << 30
_CONTAINER_LIMITS = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")


def pool_limits(options: SandboxOptions) -> PoolLimits:
    """Return the limits of the worker pool."""
    return PoolLimits(
        options.warm_workers_max,
        options.session_workers_max,
        options.queue_length_max,
        options.queue_timeout_s,
        min(options.running_max or options.warm_workers_max, options.warm_workers_max),
        options.owner_running_max,
        _memory_bytes_max(options),
        INTERPRETER_MB,
        session_quick_slots=_QUICK_SLOTS_PER_PROCESSOR * len(os.sched_getaffinity(0)),
    )


def group_limits(options: SandboxOptions) -> GroupLimits:
    """Return the limits of all processes together: workers of sessions, prewarmed ones, checkers and zygotes."""
    prewarmed = len(options.languages) * (options.prewarmed + options.starting_max)
    checkers = _CHECKERS * len(options.languages)
    memory_mb = prewarmed * _PREWARMED_MEMORY_MB + checkers * options.check_memory_mb
    workers = options.warm_workers_max + prewarmed + checkers
    zygotes = len(options.languages) * (ZYGOTES_MAX + 1 + _EQUIPPED)
    memory_bytes = _memory_bytes_max(options) + (memory_mb + options.reserved_mb + zygotes * ZYGOTE_MEMORY_MB) * MIB
    others = _OTHER_PROCESSES if options.reserved_mb else 0
    zygotes += _WITH_AND_WITHOUT_FILES * options.environments_max
    return GroupLimits(memory_bytes, workers * options.processes_max + zygotes * ZYGOTE_PROCESSES + others)


def packages_bytes_max() -> int:
    """Return the memory that zygotes with packages may take together, beside the workers."""
    return int(memory_of_host() * _PACKAGES_SHARE)


def memory_of_host(root: Path = Path("/")) -> int:
    """Return the smaller of the machine's memory and the container's limit, in bytes; 1 GiB if neither is known."""
    found = [int(text) for text in _texts(root) if text.isdigit()]
    return min(found, default=_ASSUMED)


def _memory_bytes_max(options: SandboxOptions) -> int:
    """Return the memory that all workers of sessions may have together."""
    budget_mb = options.memory_budget_mb
    return int(memory_of_host() * _SHARE_OF_HOST) if budget_mb is None else budget_mb * MIB


def _texts(root: Path) -> list[str]:
    texts = []
    for name in _CONTAINER_LIMITS:
        with contextlib.suppress(OSError):
            texts.append((root / name).read_text(encoding="ascii").strip())
    with contextlib.suppress(OSError):
        total = _TOTAL.search((root / "proc/meminfo").read_text(encoding="ascii"))
        texts.append(str(int(total[1]) * 1024) if total else "")
    return texts
