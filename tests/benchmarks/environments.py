"""First executions with packages: without an environment, with one that is preloaded, and with one that is not.

CPU time is that of the zygote and of the worker together, from the scheduler's own clock. It holds on a busy machine;
wall times do not.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from attrs import define, evolve, field, frozen

from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from domain.environments.ports import HeldTree, TreeCache
from domain.identity import ANONYMOUS, SessionRef
from domain.json_text import JsonText
from domain.scripts.environment import Environment
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.ports import ScriptRun
from domain.scripts.script import Script
from tests.support.folders import shared_folder

RATIO_MAX = 4.0
"""Of the p50 with the packages preloaded, to that without an environment."""
CPU_MS_MAX = 12.0
P50_MS_MAX = 25.0
PRIVATE_MIB_MAX = 8.0
WORN = 100
"""Executions of one session, after which a worker has pages of its own: reference counts are written."""

_MIB = 1024 * 1024
_NONE, _PRELOADED, _IMPORTED = "no environment", "preloaded", "imported by the script"
_GROUPBY = """
import numpy, pandas
frame = pandas.DataFrame({"key": numpy.arange(1000) % 7, "value": numpy.ones(1000)})
result = frame.groupby("key")["value"].sum().to_dict()[0]
"""
_PYTHON = ("numpy", "pandas")
_NODEJS = ("lodash", "zod", "date-fns", "ajv")
_LIMITS = Limits(20_000, 128, Isolation.SESSION)


@frozen
class Case:
    """A kind of session: its script, and the packages that it has."""

    name: str
    language: Language
    source: str
    environment: Environment | None = None


@frozen
class Found:
    """The figures of all cases, and the private memory of a worker after WORN executions of a groupby, in MiB."""

    figures: Sequence["Figures"]
    worn_mib: float


@frozen
class Figures:
    """Medians over the sessions of a case."""

    case: Case
    p50_ms: float
    cpu_ms: float
    private_mib: float

    def line(self) -> str:
        """Return a row of the table."""
        words = (str(self.case.language), self.case.name)
        return f"| {' | '.join(words)} | {self.p50_ms:.1f} | {self.cpu_ms:.1f} | {self.private_mib:.1f} |"


@define(eq=False)
class _Folder(HeldTree):
    path: Path

    def release(self) -> None:
        """Keep it: it is the benchmark's own."""


@define(eq=False)
class _Folders(TreeCache):
    paths: Mapping[str, Path]

    async def hold(self, digest: str) -> HeldTree:
        return _Folder(self.paths[digest])


@define(eq=False)
class _Turns:
    runner: SandboxScriptRunner
    taken: dict[str, list[tuple[float, float, float]]] = field(factory=dict)

    async def worn_mib(self, case: Case, source: str, executions: int) -> float:
        """Return the private memory of a worker that has executed one session so many times, in MiB."""
        run, pid = _run_of(evolve(case, source=source)), 0
        for _ in range(executions):
            worker = await self.runner.acquire(evolve(run, execution_id=uuid4()))
            report = await worker.run()
            assert report.failure is None, report.failure
            pid = worker.process.launched.pid  # type: ignore[attr-defined]  # a worker of this sandbox
            await worker.release()
        worn_mib = _private_bytes(pid) / _MIB
        await self.runner.evict(run.ref.session_id)
        return worn_mib

    async def measure(self, case: Case) -> None:
        """Execute a new session, and note milliseconds, milliseconds of CPU time and private bytes."""
        run, zygotes_before_s = _run_of(case), self._zygotes_cpu_s()
        began_s = time.perf_counter()
        worker = await self.runner.acquire(run)
        report = await worker.run()
        took_ms = (time.perf_counter() - began_s) * 1000
        assert report.failure is None, report.failure
        pid = worker.process.launched.pid  # type: ignore[attr-defined]  # a worker of this sandbox
        cpu_ms = (_cpu_s(pid) + self._zygotes_cpu_s() - zygotes_before_s) * 1000
        self.taken.setdefault(f"{case.language} {case.name}", []).append((took_ms, cpu_ms, _private_bytes(pid)))
        await worker.release()
        await self.runner.evict(run.ref.session_id)

    def figures(self, case: Case) -> Figures:
        """Return the medians of a case."""
        took, cpu, private = zip(*self.taken[f"{case.language} {case.name}"], strict=True)
        return Figures(case, statistics.median(took), statistics.median(cpu), statistics.median(private) / _MIB)

    def _zygotes_cpu_s(self) -> float:
        return sum(_cpu_s(zygote.pid) for zygote in self.runner.debug_snapshot().zygotes if zygote.pid is not None)


def run(sessions: int, python_tree: Path | None, nodejs_tree: Path | None) -> Found:
    """Measure so many new sessions of each case, in turns. Trees that are not given are installed."""
    with shared_folder() as folder:
        python = python_tree or _installed_python(folder / "python")
        nodejs = nodejs_tree or _installed_nodejs(folder / "nodejs")
        return asyncio.run(_measured(folder, {"python": python, "nodejs": nodejs}, sessions))


async def _measured(folder: Path, trees: Mapping[str, Path], sessions: int) -> Found:
    cases = _cases()
    options = SandboxOptions(folder / "runtimes", prewarmed=0, queue_timeout_s=60)
    runner = SandboxScriptRunner(options, trees=_Folders(trees))
    await runner.open()
    turns = _Turns(runner)
    try:
        for case in cases:  # opens the zygotes
            await turns.measure(case)
        turns.taken.clear()
        for _ in range(sessions):
            for case in cases:
                await turns.measure(case)
        worn_mib = await turns.worn_mib(cases[1], _GROUPBY, WORN)
    finally:
        await runner.close(5)
    return Found([turns.figures(case) for case in cases], worn_mib)


def _cases() -> Sequence[Case]:
    imports = "import numpy, pandas\nresult = 1"
    requires = "".join(f"require('{name}');" for name in _NODEJS) + "return 1;"
    plain = {Language.PYTHON: "result = 1", Language.NODEJS: "return 1;"}
    found = []
    for language, source, preload in (
        (Language.PYTHON, imports, _PYTHON),
        (Language.NODEJS, requires, _NODEJS),
    ):
        preloaded, bare = (Environment(str(language), n, str(language), names) for n, names in ((1, preload), (2, ())))
        found += [
            Case(_NONE, language, plain[language]),
            Case(_PRELOADED, language, source, preloaded),
            Case(_IMPORTED, language, source, bare),
        ]
    return found


def _run_of(case: Case) -> ScriptRun:
    script = Script.of(case.source, 1 << 20)

    async def read() -> Script:
        return script

    return ScriptRun(
        ref=SessionRef(ANONYMOUS, uuid4()),
        execution_id=uuid4(),
        language=case.language,
        limits=_LIMITS,
        session_left=timedelta(hours=1),
        script_hash=script.hash,
        context=JsonText("{}"),
        params=JsonText(json.dumps({})),
        source=read,
        environment=case.environment,
    )


def _cpu_s(pid: int) -> float:
    """Return the time that all threads of a process ran; 0 if it has ended."""
    try:
        return sum(int(each.read_text().split()[0]) for each in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
    except OSError:
        return 0.0


def _private_bytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def _installed_python(folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--target", str(folder)]
    subprocess.run([*pip, *_PYTHON], check=True)
    return folder


def _installed_nodejs(folder: Path) -> Path:
    folder.mkdir()
    (folder / "package.json").write_text('{"private": true}')
    subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *_NODEJS], cwd=folder, check=True)
    return folder
