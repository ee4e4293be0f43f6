"""A runner without a sandbox, to show that attacks succeed if nothing stops them."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from attrs import define, field, frozen

from adapters.sandbox import guest
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.protocol.execution import execute
from adapters.sandbox.workers.process import WorkerProcess
from adapters.sandbox.zygote.launch import DescriptorEnds, Exit, Launched
from adapters.sandbox.zygote.sandbox_spec import SandboxSpec
from domain.identity import Owner
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRun, ScriptRunner, Worker
from domain.scripts.script import InputForm, Script

GUEST = Path(guest.__file__).parent


@frozen
class BareSpec(SandboxSpec):
    """The interpreter and its program alone, on the host itself."""

    folder: Path = field(kw_only=True)

    def launch(self) -> Launched:
        ends = DescriptorEnds.make()
        channel, stdout, stderr = ends.theirs
        os.set_inheritable(channel, True)
        process = subprocess.Popen(
            [self._program, *self._guest(), str(channel)],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={},
            cwd="/",
            close_fds=False,
            start_new_session=True,
        )
        ends.close_theirs()
        launched = ends.launched(os.pidfd_open(process.pid), process.pid)
        loop = asyncio.get_running_loop()

        def collect() -> None:
            loop.remove_reader(launched.pid_fd)
            launched.exited.set_result(Exit(process.wait()))

        loop.add_reader(launched.pid_fd, collect)
        return launched

    @property
    def _program(self) -> Path:
        if self.interpreter.language is Language.PYTHON:
            return Path(sys.executable).resolve()
        return next(bind.source for bind in self.interpreter.binds if bind.target == self.interpreter.program)

    def _guest(self) -> list[str]:
        """Return the worker's program, copied with a scratch folder of its own: it empties that folder."""
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        copy, named = self.folder / "guest", 0
        shutil.copytree(GUEST, copy, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        for file in (each for each in (copy / self.interpreter.language).iterdir() if each.is_file()):
            text = file.read_text()
            named += text.count("/tmp")
            file.write_text(text.replace("/tmp", str(scratch)))
        assert named == 1
        if self.interpreter.language is Language.PYTHON:
            return [str(copy / "python" / "start.py"), "worker"]
        return [str(copy / "nodejs" / "start.cjs"), "worker"]


@define(eq=False)
class UnconfinedWorker(Worker):
    process: WorkerProcess
    script_run: ScriptRun
    options: SandboxOptions

    async def run(self):
        return await execute(self.process, self.script_run, await self.script_run.source(), self.options)

    async def release(self):
        self.process.kill()
        await self.process.gone()


@define(eq=False)
class UnconfinedRunner(ScriptRunner):
    """Runs every script in an interpreter of its own, without any confinement."""

    specs: Mapping[Language, SandboxSpec]
    folder: Path

    async def acquire(self, run: ScriptRun) -> Worker:
        shutil.rmtree(self.folder / "scratch", ignore_errors=True)
        spec = self.specs[run.language]
        process = WorkerProcess(
            launched_bare(spec, self.folder),
            output_size_max=spec.options.output_size_max,
            reply_size_max=spec.options.result_size_max,
            kill_s=spec.options.kill_s,
            threads_later_max=1000,
        )
        await process.start()
        return UnconfinedWorker(process, run, spec.options)

    async def check(self, language: Language, script: Script, owner: Owner, *_: object) -> InputForm:
        raise NotImplementedError

    async def evict(self, session_id: UUID) -> None:
        """Nothing is kept."""

    async def health(self) -> Mapping[str, object]:
        raise NotImplementedError


def launched_bare(spec: SandboxSpec, folder: Path) -> Launched:
    """Start the interpreter of this spec with no sandbox around it."""
    return BareSpec(**{name: getattr(spec, name) for name in _FIELDS}, folder=folder).launch()


_FIELDS = (
    "interpreter",
    "zygote",
    "programs",
    "nothing",
    "inherited_filter",
    "worker_filter",
    "uid",
    "memory_mb",
    "mounts_proc",
    "options",
)
