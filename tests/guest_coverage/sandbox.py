"""Sandboxes whose guest is started by a probe."""

import shutil
from pathlib import Path

from attrs import evolve, field, fields, frozen

from adapters.sandbox.runtimes.interpreters import Interpreter
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from adapters.sandbox.zygote.sandbox_spec import WORKER_ROOT, SandboxSpec
from domain.scripts.language import Language

PROBES = Path(__file__).parent
INSIDE = "/coverage"


@frozen
class MeasuredSpec(SandboxSpec):
    """A sandbox that has `folder`, writable, as /coverage in the roots of the zygote and of its workers."""

    folder: Path = field(kw_only=True)

    def command(self, control: int, inherited_filter: int) -> list[str]:
        command = super().command(control, inherited_filter)
        last = command.index("--remount-ro")
        for root in ("", WORKER_ROOT):
            command[last:last] = ["--bind", str(self.folder), f"{root}{INSIDE}"]
        return command


@frozen
class MeasuredBuilder(SandboxBuilder):
    """Builds sandboxes that write the lines of the guest that have run to `folder`, which every user may reach."""

    folder: Path

    def spec(self, language: Language, why_not_forked: str = "") -> SandboxSpec:
        for probe in ("probe.py", "probe.cjs"):
            shutil.copyfile(PROBES / probe, self.folder / probe)
        self.folder.chmod(0o777)
        spec = super().spec(language, why_not_forked)
        given = {each.name: getattr(spec, each.name) for each in fields(SandboxSpec)}
        given |= {"zygote": measured(spec.zygote), "interpreter": measured(spec.interpreter)}
        return MeasuredSpec(**given, folder=self.folder)


def measured(interpreter: Interpreter) -> Interpreter:
    if interpreter.language is Language.PYTHON:
        return evolve(interpreter, guest=[f"{INSIDE}/probe.py", *interpreter.guest])
    return evolve(interpreter, guest=["--require", f"{INSIDE}/probe.cjs", *interpreter.guest])
