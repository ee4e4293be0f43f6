"""The options of a sandbox."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from attrs import field, frozen
from attrs.validators import ge, gt, optional

from domain.scripts.language import Language
from domain.states.limits import StateLimits

KIB = 1024
MIB = 1024 * KIB


class SandboxLevel(StrEnum):
    """The least isolation that is acceptable; each level contains the one before it."""

    STANDARD = "standard"
    """Namespaces, no network, a minimal read-only file system, seccomp and resource limits."""
    SEPARATE_UID = "separate-uid"
    """Standard, and workers run under a host uid that is not the service's."""


class NodeStart(StrEnum):
    """How workers for Node.js start."""

    AUTO = "auto"
    """As forks of a zygote where that was tested and passes its check, otherwise by executing Node.js."""
    FORK = "fork"
    """As forks of a zygote, or not at all."""
    EXEC = "exec"
    """By executing Node.js."""


@frozen
class SandboxOptions:
    """Settings of the sandbox. Sizes are in bytes unless the name says otherwise, times in seconds.

    - `runtimes_dir` holds copies of interpreters. For a service of root, `sandbox_uid` must be able to reach it.
    - `sandbox_uid` counts for a service of root only. Otherwise workers have the service's own uid.
    - `node_path` is a system Node.js (>= 20) instead of the wheel's, and `bwrap_path` likewise for bubblewrap.
    - An execution may use `cpu_per_wall` times its wall limit of CPU time, and a worker `cpu_s_max` in its life.
    - `reserved_mb` is for other processes in the control group of the workers.
    - `memory_budget_mb` limits the memory of all workers of sessions; None stands for half of the host's memory.
    - Node.js scripts of the calling convention `origin` have the environment variable NODE_ENV with `node_env`.
    - `running_max` limits the executions that run at once. Every owner has a fair share of it, and runs at most
      `owner_running_max`.
    - `prewarmed` workers of each language are kept ready while new sessions execute, and at most two otherwise.
    - After `forks_max` workers a zygote is replaced, because its forks share a memory layout and a hash secret.
    - A syntax check may use `check_cpu_s` of CPU time, and `check_cpu_s_per_mb` more for each MiB of script.
      `check_timeout_s` is its wall limit on a host whose processors are busy.
    - A check that uses more than `brief_check_cpu_s` and `brief_check_cpu_s_per_mb` is slow. It is repeated apart from
      those of other owners, and so are all checks of its owner for `slow_owner_s`.
    - `checks_waiting_bytes_max` limits the scripts of one kind that wait or are checked; each counts at least 16 KiB.
    - A batch of small scripts has at most `check_batch_max` scripts and `check_batch_bytes` bytes. The next batch takes
      the scripts that have not begun after `check_batch_cpu_s` of CPU time.
    """

    runtimes_dir: Path
    languages: Sequence[Language] = tuple(Language)
    sandbox_uid: int = field(default=64137, validator=gt(0))
    level: SandboxLevel = SandboxLevel.STANDARD
    node_path: Path | None = None
    bwrap_path: Path | None = None
    node_start: NodeStart = NodeStart.AUTO
    node_env: str = "production"

    queue_timeout_s: float = field(default=2.0, validator=gt(0))
    queue_length_max: int = field(default=1024, validator=ge(1))
    warm_workers_max: int = field(default=64, validator=ge(1))
    session_workers_max: int = field(default=4, validator=ge(1))
    running_max: int | None = field(default=None, validator=optional(ge(1)))
    owner_running_max: int | None = field(default=None, validator=optional(ge(1)))
    reserved_mb: int = field(default=0, validator=ge(0))
    memory_budget_mb: int | None = field(default=None, validator=optional(ge(16)))
    prewarmed: int = field(default=16, validator=ge(0))
    starting_max: int = field(default=2, validator=ge(1))
    idle_s: float = field(default=600.0, validator=gt(0))
    start_timeout_s: float = field(default=10.0, validator=gt(0))
    retry_s: float = field(default=5.0, validator=gt(0))
    forks_max: int = field(default=1000, validator=ge(1))
    preload_s: float = field(default=60.0, validator=gt(0))
    preloads: bool = True
    environments_max: int = field(default=8, validator=ge(1))
    environment_idle_s: float = field(default=600.0, validator=gt(0))
    kill_s: float = field(default=0.5, validator=gt(0))

    memory_mb: int = field(default=128, validator=ge(16))
    output_size_max: int = field(default=256 * KIB, validator=ge(0))
    result_size_max: int = field(default=1 * MIB, validator=ge(1))
    state_limits: StateLimits = field(factory=StateLimits)
    script_cache_bytes_max: int = field(default=64 * MIB, validator=ge(0))
    tmp_size_max: int = field(default=16 * MIB, validator=ge(4096))
    tmp_files_max: int = field(default=1024, validator=ge(16))
    processes_max: int = field(default=32, validator=ge(16))
    files_max: int = field(default=64, validator=ge(32))
    cpu_s_max: int = field(default=3600, validator=ge(1))
    cpu_per_wall: float = field(default=2.0, validator=gt(0))

    check_memory_mb: int = field(default=320, validator=ge(16))
    check_timeout_s: float = field(default=5.0, validator=gt(0))
    check_cpu_s: float = field(default=0.15, validator=gt(0))
    check_cpu_s_per_mb: float = field(default=2.0, validator=ge(0))
    brief_check_cpu_s: float = field(default=0.01, validator=gt(0))
    brief_check_cpu_s_per_mb: float = field(default=1.0, validator=ge(0))
    slow_owner_s: float = field(default=60.0, validator=gt(0))
    checks_per_checker_max: int = field(default=1000, validator=ge(1))
    checks_waiting_bytes_max: int = field(default=64 * MIB, validator=ge(1))
    check_batch_max: int = field(default=64, validator=ge(1))
    check_batch_bytes: int = field(default=64 * KIB, validator=ge(1))
    check_batch_cpu_s: float = field(default=0.01, validator=gt(0))
    large_script_size: int = field(default=64 * KIB, validator=ge(1))
    check_results_max: int = field(default=4096, validator=ge(1))

    def check_cpu_s_max(self, size: int) -> float:
        """Return the CPU time that the check of a script of this size may use."""
        return self.check_cpu_s + self.check_cpu_s_per_mb * size / MIB

    def brief_check_cpu_s_max(self, size: int) -> float:
        """Return the CPU time beyond which the check of a script of this size is slow."""
        return self.brief_check_cpu_s + self.brief_check_cpu_s_per_mb * size / MIB


@frozen
class PoolLimits:
    """Limits of a worker pool: slots in all and for each session, waiting calls, running executions, memory.

    Every owner has a fair share of `running_max`, and runs at most `owner_running_max` executions at once.
    `memory_bytes_max` limits the memory of all slots together. With None, only `slots_max` limits these. A running slot
    counts the limit of its scripts and `interpreter_mb` of its language.

    A start costs a hundred times as much as a warm execution. So a call waits `own_worker_wait_s` for a worker of its
    session before it evicts another session's, or adds one to the `session_quick_slots` of its own.
    """

    slots_max: int
    session_slots_max: int
    queue_length_max: int
    queue_timeout_s: float
    running_max: int | None = None
    owner_running_max: int | None = None
    memory_bytes_max: int | None = None
    interpreter_mb: Mapping[Language, int] = field(factory=dict)
    own_worker_wait_s: float = 0.25
    session_quick_slots: int | None = None

    def running_bytes(self, language: Language, memory_mb: int) -> int:
        """Return what a running slot counts whose script has this limit of memory."""
        return (memory_mb + self.interpreter_mb.get(language, 0)) * MIB
