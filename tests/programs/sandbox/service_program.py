"""A service with a sandbox as a program of its own, for tests that end it or give it an environment."""

import subprocess
import sys
from pathlib import Path

from adapters.sandbox.options import SandboxLevel

ROOT = Path(__file__).parents[3]
SERVICE = """
import asyncio, sys
from pathlib import Path
from adapters.sandbox.options import SandboxLevel, SandboxOptions
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from adapters.sandbox.runner import SandboxScriptRunner
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from tests.contracts.script_runs import report_of, run_of
from tests.support.waiting import until
from tests.integration.sandbox.processes import processes_of

async def main():
    runner = SandboxScriptRunner(SandboxOptions(Path(sys.argv[1]), level=SandboxLevel(sys.argv[2])))
    await runner.open()
    health = await runner.health()
    if health["status"] != "ok":
        print(health, flush=True)
        return
    limits = Limits(60000, 128, Isolation.SESSION)
    for language, source in ((Language.PYTHON, "result = 40 + 2"), (Language.NODEJS, "return 40 + 2")):
        print((await report_of(runner, run_of(source, language=language))).result, flush=True)
    print(health["layers"]["uid"], flush=True)
    running = [asyncio.ensure_future(report_of(runner, run_of("while True: pass", limits=limits))),
               asyncio.ensure_future(report_of(runner, run_of("for (;;);", language=Language.NODEJS, limits=limits)))]
    await until(lambda: runner.stats().running == 2)
    print(*processes_of(runner), flush=True)
    sys.stdin.read()
    await runner.close(5)

asyncio.run(main())
"""


def service(folder, level=SandboxLevel.STANDARD, python=sys.executable, root=ROOT, **options):
    return subprocess.Popen(
        [*([python] if isinstance(python, str) else python), "-c", SERVICE, str(folder), level],
        cwd=root,
        env={"PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )
