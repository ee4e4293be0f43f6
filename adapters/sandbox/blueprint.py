"""How a sandbox for one interpreter and one memory limit is built: its command line and its limits."""

from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from adapters.sandbox.interpreters import Interpreter
from adapters.sandbox.options import MIB, SandboxOptions
from adapters.sandbox.programs import Programs

INNER_UID = 65534
LAUNCHERS = 3
_SCRATCH = "/tmp"  # noqa: S108  # the sandbox's own
_MOUNT_THEN_RUN = '"$1" -t tmpfs -o "$2" tmpfs "$3" && shift 3 && exec "$@"'


@frozen
class Descriptors:
    """Numbers, in the child, of what it inherits."""

    channel: int
    filter: int


@frozen
class Blueprint:
    """Everything that a worker's sandbox is made of.

    `scratch` and `nothing` are empty folders of the host that the workers' uid can reach: the first is where, in a
    mount namespace of its own, each sandbox mounts its private tmpfs; the second covers what must not be seen.
    """

    interpreter: Interpreter
    programs: Programs
    scratch: Path
    nothing: Path
    filter_program: bytes
    uid: int | None
    memory_mb: int
    options: SandboxOptions

    def command(self, descriptors: Descriptors) -> list[str]:
        """Return the whole command line: the launcher, bubblewrap, the interpreter."""
        inside = self.interpreter.command(descriptors.channel, self.memory_mb)
        return [*self._launcher(), *self._bubblewrap(descriptors), *self._files(), "--", *inside]

    def limits(self) -> Mapping[str, int]:
        """Return the resource limits, soft and hard alike, by their names in prlimit(1)."""
        memory_mb = max(self.memory_mb, self.interpreter.memory_min_mb)
        limits = {
            # The launcher, bubblewrap and the interpreter count as well, in the sandbox's own user namespace.
            "nproc": self.options.processes_max + LAUNCHERS,
            "data": (memory_mb + self.interpreter.data_base_mb) * MIB,
            "fsize": self.options.tmp_size_max,
            "nofile": self.options.files_max,
            "core": 0,
            "cpu": self.options.cpu_s_max,
            "memlock": 0,
            "msgqueue": 0,
        }
        if self.interpreter.mapped_base_mb is not None:
            limits["as"] = (memory_mb + self.interpreter.mapped_base_mb) * MIB
        return limits

    def _launcher(self) -> list[str]:
        # bubblewrap's own tmpfs bounds bytes, not inodes; this one bounds both, without any privilege.
        mount_options = (
            f"size={self.options.tmp_size_max},nr_inodes={self.options.tmp_files_max},mode=0700,nosuid,nodev,noexec"
        )
        programs = self.programs
        unshare = [str(programs.unshare), "--user", "--map-root-user", "--mount", "--propagation", "private"]
        # Whoever dies, and whenever: the service takes this process with it, this one the process namespace that it
        # makes, and that one everything inside, so that no half-built sandbox stays. (Entering a user namespace clears
        # the parent-death signal, so it is set afterwards; bubblewrap alone sets it too late.)
        unshare += [str(programs.setpriv), "--pdeathsig", "KILL"]
        unshare += [str(programs.unshare), "--pid", "--fork", "--kill-child"]
        shell = [str(programs.shell), "-c", _MOUNT_THEN_RUN, "sh"]
        limits = [f"--{name}={limit}:{limit}" for name, limit in self.limits().items()]
        mount = [str(programs.mount), mount_options, str(self.scratch)]
        return [*unshare, *shell, *mount, str(programs.prlimit), *limits, "--"]

    def _bubblewrap(self, descriptors: Descriptors) -> list[str]:
        isolation = ["--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL", "--new-session"]
        # As process 1 the interpreter is what the service sees: its clock, its memory, its death.
        life = ["--die-with-parent", "--as-pid-1", "--hostname", "sandbox", "--chdir", _SCRATCH]
        user = ["--uid", str(INNER_UID), "--gid", str(INNER_UID)]
        return [str(self.programs.bwrap), *isolation, *life, *user, "--seccomp", str(descriptors.filter)]

    def _files(self) -> list[str]:
        arguments: list[str] = []
        for bind in self.interpreter.binds:
            source = self.nothing if bind.hidden else bind.source
            arguments += ["--ro-bind", str(source), str(bind.target)]
        arguments += ["--ro-bind", str(self.interpreter.bootstrap), str(self.interpreter.bootstrap_target)]
        arguments += ["--bind", str(self.scratch), _SCRATCH]
        # Last: nothing can be mounted after it.
        return [*arguments, "--remount-ro", "/"]
