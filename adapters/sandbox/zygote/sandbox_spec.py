"""How the sandbox of a zygote is built, and what each of its workers is granted."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from attrs import frozen

from adapters.sandbox.equipment import Equipment, WorkerNetwork
from adapters.sandbox.isolation.cpu_scheduling import starting_processors
from adapters.sandbox.isolation.seccomp import network_filter
from adapters.sandbox.options import MIB, SandboxOptions
from adapters.sandbox.runtimes.interpreters import Bind, Interpreter
from adapters.sandbox.runtimes.launchers import Programs
from adapters.sandbox.zygote.preload import PreloadCost
from domain.scripts.language import Language

ZygoteKind: TypeAlias = tuple[Language, bool, Equipment | None]
"""A language, whether workers are forks of their interpreter, and the equipment."""

ZYGOTE_PROCESSES = 4
"""Processes of a zygote's sandbox besides workers: its launchers and the zygote."""
_INNER_UID = 65534
_INNER_CHANNEL = 3
WORKER_ROOT = "/worker"
"""Where the zygote has the root of its workers, as `isolation.py` of the guest knows it."""
_SCRATCH = "/tmp"  # noqa: S108  # the sandbox's own
_FILES = "/files"
_FILES_INODES = 256
"""Files and folders that /files may hold: 64 to find, 64 to leave, and their folders."""
_STACK_MB = 8
_BESIDE_DATA = MIB
"""Kept for what a script uses without new data, such as compiled code: its report counts that too."""
_BESIDE_MAPPED = 16 * MIB
"""Kept for what a worker maps that its zygote has not mapped, such as the stacks of threads."""
_NO_CORE = 1
"""With 0 the kernel would still start the host's program for crashes (`core_pattern`) as the host's root."""


@frozen
class SandboxSpec:
    """Everything that the sandboxes of a zygote and of its workers are made of.

    Each worker is a fork of the zygote. If `interpreter` is not the zygote's, the fork executes it. `nothing` is an
    empty folder of the host that the workers' uid can reach. It covers paths that workers must not see.
    """

    interpreter: Interpreter
    zygote: Interpreter
    programs: Programs
    nothing: Path
    inherited_filter: bytes
    worker_filter: bytes
    uid: int | None
    memory_mb: int
    mounts_proc: bool
    """Whether the launcher mounts a /proc for its process namespace. Otherwise it has the service's."""
    options: SandboxOptions
    why_executed: str = ""
    """Why workers execute their interpreter; empty if they are forks."""
    fork_check: bytes | None = None
    """Another script in place of the check of forks of Node.js."""
    fork_check_s: float = 3.0
    """The limit of the check of a fork."""
    equipment: Equipment | None = None
    """Of an equipped zygote; None stands for a plain one."""
    network: WorkerNetwork | None = None
    """Of one worker of an equipped zygote; None gives it none."""
    files_mb: int = 0
    """The size of the folder /files of one worker, whose zygote has files."""

    @property
    def kind(self) -> ZygoteKind:
        """What tells the zygote from others, and its workers' interpreter too."""
        return self.interpreter.language, self.interpreter.is_forked, self.equipment

    @property
    def preloads(self) -> bool:
        """Whether the zygote imports packages before it is ready."""
        return self.equipment is not None and bool(self.equipment.preload)

    @property
    def preload_s(self) -> float | None:
        """The limit of these imports; None if there are none."""
        return self.options.preload_s if self.preloads else None

    def command(self, control: int, inherited_filter: int) -> list[str]:
        """Return the command line of a zygote that takes its orders from the descriptor `control`.

        bubblewrap reads the filter from the descriptor `inherited_filter`.
        """
        files = [*self._files("", self.zygote.binds), *self._files("", self.zygote.guest_binds)]
        files += self._files(WORKER_ROOT, self.interpreter.worker_binds)
        files += self._equipment()
        # The zygote needs /proc, in a root that no worker keeps. It gets that of the launcher. Nothing can be mounted
        # after the last option.
        files += [
            "--dir",
            _SCRATCH,
            "--dir",
            f"{WORKER_ROOT}{_SCRATCH}",
            "--bind",
            "/proc",
            "/proc",
            "--remount-ro",
            "/",
        ]
        inside = self._command_of(self.zygote, control)
        return [*self._launcher(), *self._bubblewrap(inherited_filter), *files, "--", *inside]

    def setup(self) -> Mapping[str, object]:
        """Return the first message to a zygote."""
        scratch = f"size={self.options.tmp_size_max},nr_inodes={self.options.tmp_files_max},mode=0700"
        plain = {"filter": self.worker_filter.hex(), "scratch": scratch, "forks": self.interpreter.is_forked}
        if self.equipment is None:
            return plain
        # The order of a worker says which of the two filters it adds.
        equipped = {**plain, "equipped": True, "network_filter": network_filter().hex()}
        if self.equipment.has_files:
            equipped["files"] = True
        if self.equipment.tree is None:
            return equipped
        return {**equipped, "preload": self.equipment.preload, "variables": self.equipment.package_variables()}

    def order(self, data_bytes: int | None = None, cost: PreloadCost | None = None) -> Mapping[str, object]:
        """Return the order for one worker.

        `data_bytes` is the data of its interpreter before any script, as the last worker had it, and `cost` that of the
        zygote's packages, which each worker has in its memory.
        """
        plain: dict[str, object] = {
            "limits": self.limits(data_bytes, cost),
            "processors": sorted(starting_processors(self.uid)),
            "command": None if self.interpreter.is_forked else self._command_of(self.interpreter, _INNER_CHANNEL),
        }
        if self.equipment is None:
            return plain
        if self.files_mb:
            plain["files"] = f"size={self.files_mb * MIB},nr_inodes={_FILES_INODES},mode=0700"
        variables = dict(self.equipment.variables_at_start())
        if self.network is None:
            return {**plain, "variables": variables}
        return {**plain, **dict(self.network.order()), "variables": {**variables, **self.network.variables_at_start()}}

    def _command_of(self, interpreter: Interpreter, channel: int) -> list[str]:
        is_equipped = self.equipment is not None
        generates_code = self.equipment is not None and self.equipment.tree is not None
        return interpreter.command(channel, self.memory_mb, is_equipped=is_equipped, generates_code=generates_code)

    def limits(self, data_bytes: int | None = None, cost: PreloadCost | None = None) -> Mapping[str, int]:
        """Return the resource limits of a worker, soft and hard alike, by their names in prlimit(1).

        `data_bytes` is the interpreter's part of its data; None takes that of the zygote's packages, or
        `Interpreter.data_base_mb`.
        """
        if data_bytes is None and cost is not None:
            data_bytes = cost.data_bytes + _BESIDE_DATA
        base_bytes = self.interpreter.data_base_mb * MIB if data_bytes is None else data_bytes - _BESIDE_DATA
        limits = {
            "nproc": self.options.processes_max,
            "data": base_bytes + self.memory_mb * MIB,
            "fsize": max(self.options.tmp_size_max, self.files_mb * MIB),
            "nofile": self.options.files_max,
            "core": _NO_CORE,
            "cpu": self.options.cpu_s_max,
            "stack": _STACK_MB * MIB,
            "sigpending": self.options.processes_max,
            "memlock": 0,
            "msgqueue": 0,
            "nice": 0,
            "rtprio": 0,
        }
        if self.interpreter.mapped_base_mb is not None:
            base_mb = self.interpreter.mapped_base_mb
            mapped_bytes = base_mb * MIB if cost is None else cost.mapped_bytes + _BESIDE_MAPPED
            limits["as"] = self.memory_mb * MIB + mapped_bytes
        return limits

    def _launcher(self) -> list[str]:
        programs = self.programs
        unshare = [str(programs.unshare), "--user", "--map-root-user"]
        # No half-built sandbox may remain, whichever process dies and whenever. The end of the service kills this
        # process, its end kills the process namespace that it makes, and that kills everything inside. (Entering a user
        # namespace clears the parent-death signal, so it is set afterwards; bubblewrap alone sets it too late.)
        unshare += [str(programs.setpriv), "--pdeathsig", "KILL"]
        # bubblewrap looks its child up in /proc, and fails if no process has that id. In the /proc of a host it finds a
        # foreign process, which does no harm. In that of a container it may find none.
        own_proc = ["--mount-proc"] if self.mounts_proc else []
        return [*unshare, str(programs.unshare), "--pid", "--fork", "--kill-child", *own_proc]

    def _bubblewrap(self, inherited_filter: int) -> list[str]:
        # The zygote's only capability counts in the sandbox's own user namespace: to make process namespaces.
        isolation = ["--unshare-all", "--unshare-user", "--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN"]
        if self.equipment is not None:
            # To bring up the loopback of a new network, and to listen on ports below 1024 there. They count in the
            # sandbox's own user namespace too, which has no other network.
            isolation += ["--cap-add", "CAP_NET_ADMIN", "--cap-add", "CAP_NET_BIND_SERVICE"]
        isolation += ["--seccomp", str(inherited_filter)]
        # The zygote is not process 1: libraries detect a fork by the process id, and each worker is process 1.
        life = ["--new-session", "--die-with-parent", "--hostname", "zygote"]
        return [str(self.programs.bwrap), *isolation, *life, "--uid", str(_INNER_UID), "--gid", str(_INNER_UID)]

    def _equipment(self) -> Iterator[str]:
        if self.equipment is None:
            return
        libraries = [] if self.equipment.tree is None else self.interpreter.package_binds
        for root in ("", WORKER_ROOT):
            yield from self._files(root, [*self.equipment.binds, *libraries])
        # A worker mounts folders of its own here.
        yield from ("--dir", f"{WORKER_ROOT}/etc")
        if self.equipment.has_files:
            yield from ("--dir", f"{WORKER_ROOT}{_FILES}")

    def _files(self, root: str, binds: Sequence[Bind]) -> Iterator[str]:
        for bind in binds:
            source = self.nothing if bind.hidden else bind.source
            yield from ("--ro-bind", str(source), f"{root}{bind.target}")
