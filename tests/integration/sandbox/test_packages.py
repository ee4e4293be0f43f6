"""Scripts with an environment: its packages, the zygote that has imported some of them, and what they may not do."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.sandbox.options import NodeStart, SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from domain.environments.ports import TrialFailed
from domain.errors import Overloaded, RuntimeUnavailable, StorageUnavailable
from domain.scripts.environment import Environment
from domain.scripts.language import Language
from domain.scripts.syntax import Syntax
from tests.contracts.script_runs import failure_of, new_session, report_of, result_of, run_of
from tests.support.packages import Folders
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEASURES_GUEST = True

PYTHON_TREE = {
    "packaged.py": "import os\nPID = os.getpid()\nTHREADS = os.environ.get('OPENBLAS_NUM_THREADS')\n",
    "json.py": "ORIGIN = 'tree'\n",
    "lazy/__init__.py": (
        "import sys, types\n"
        "sys.modules['lazy.made'] = types.ModuleType('lazy.made')\n"
        "class Importer:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        return None\n"
        "sys.meta_path.append(Importer())\n"
    ),
    "large.py": "HELD = b'1' * (96 << 20)\n",
    "numpy/__init__.py": "",
    "numpy/random.py": (
        "import os\nSEED = None\n\ndef seed():\n    global SEED\n    SEED = int.from_bytes(os.urandom(8))\n\nseed()\n"
    ),
    "drawing.py": (
        "import random\nSEEDED = random.Random(1)\nOWN = random.Random()\nFIXED = random.Random()\nFIXED.seed(7)\n"
    ),
    "threads.py": "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n",
    "files.py": "FILE = open('/environment/packaged.py')\n",
    "shared.py": "import mmap\nMEMORY = mmap.mmap(-1, 4096)\n",
    "own.py": "import mmap\nMEMORY = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE)\n",
    "children.py": "import os, time\nif os.fork() == 0:\n    time.sleep(100)\n",
    "broken.py": "raise OSError('no data files')\n",
    "crash.py": "import os\nos._exit(7)\n",
    "endless.py": "while True: pass\n",
    "sitecustomize.py": "raise SystemExit('it ran')\n",
    "evil.pth": "import os; os._exit(9)\n",
}
NODE_TREE = {
    "package.json": "{}",
    "node_modules/packaged/index.js": "exports.pid = process.pid; exports.make = () => new Function('return 42')();",
    "node_modules/es-module/package.json": '{"type": "module", "main": "main.js"}',
    "node_modules/es-module/main.js": "export const answer = 42;",
    "node_modules/drawing/index.js": (
        "const crypto = require('crypto'), { random } = Math;\n"
        "const draw = () => [random(), Math.random(), crypto.randomInt(2 ** 47), crypto.randomUUID(),"
        " globalThis.crypto.randomUUID(), crypto.randomBytes(8).toString('hex')];\n"
        "exports.drawn = draw();\nexports.draw = draw;"
    ),
    "node_modules/importing/package.json": '{"type": "module", "main": "main.js"}',
    "node_modules/importing/main.js": (
        "import { randomInt, randomUUID } from 'node:crypto';\n"
        "export const draw = () => [randomUUID(), randomInt(2 ** 47)];\ndraw();"
    ),
    "node_modules/freezing/index.js": "Object.freeze(Math);",
    "node_modules/needs/index.js": "require('absent');",
    "node_modules/timers-left/index.js": "setInterval(() => {}, 1000);",
    "node_modules/files-left/index.js": "exports.file = require('fs').openSync('/environment/package.json');",
    "node_modules/broken/index.js": "throw new RangeError('no data files');",
}


@pytest.fixture(scope="module")
def trees(runtimes_dir: Path) -> Folders:
    return Folders(runtimes_dir / "trees")


@pytest.fixture(scope="module")
def python(trees: Folders) -> Environment:
    return trees.add("python", PYTHON_TREE, ("packaged", "numpy.random"))


@pytest.fixture(scope="module")
def nodejs(trees: Folders) -> Environment:
    return trees.add("nodejs", NODE_TREE, ("packaged",))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(runtimes_dir, built, trees) -> AsyncIterator[SandboxScriptRunner]:
    options = SandboxOptions(runtimes_dir, prewarmed=0, queue_timeout_s=30, node_start=NodeStart.FORK, preload_s=10)
    runner = SandboxScriptRunner(options, built(options), trees=trees)
    await runner.open()
    yield runner
    await runner.close(5)
    assert trees.held == []


def preloading(trees: Folders, *names: str, of: str = "python") -> Environment:
    tree = PYTHON_TREE if of == "python" else NODE_TREE
    return trees.add(f"{of}-{'-'.join(names)}", tree, names)


async def test_a_package_was_imported_before_the_worker_was_forked(shared, python):
    source = "import packaged\nresult = [packaged.PID == 1, packaged.THREADS]"
    assert await result_of(shared, run_of(source, environment=python)) == '[false,"1"]'


async def test_sessions_of_one_environment_share_a_zygote_and_a_tree(shared, trees, python):
    await result_of(shared, run_of("result = 1", environment=python))
    before, zygotes = trees.holds, len(shared.debug_snapshot().zygotes)
    for _ in range(3):
        await result_of(shared, run_of("result = 1", environment=python))
    assert (trees.holds, len(shared.debug_snapshot().zygotes)) == (before, zygotes)


async def test_no_package_hides_a_module_of_the_library(shared, python):
    source = "import json, sys\nresult = [json.__file__.startswith('/usr'), 'sitecustomize' in sys.modules]"
    assert await result_of(shared, run_of(source, environment=python)) == "[true,false]"


async def test_a_script_without_the_environment_has_no_packages(shared):
    failure = await failure_of(shared, run_of("import packaged"))
    assert failure.name == "ModuleNotFoundError"


async def test_what_a_package_has_made_by_hand_is_there_for_the_next_execution(shared, python):
    ref = new_session()
    source = "import lazy, lazy.made, sys\nresult = [type(each).__name__ for each in sys.meta_path].count('Importer')"
    reports = [await report_of(shared, run_of(source, ref=ref, environment=python)) for _ in range(2)]
    assert [(each.failure, each.result, each.cold_start) for each in reports] == [(None, "1", True), (None, "1", False)]


async def test_libraries_find_their_one_thread_in_each_execution(shared, python):
    ref = new_session()
    source = "import os\nresult = os.environ.pop('OMP_NUM_THREADS')"
    for _ in range(2):
        assert await result_of(shared, run_of(source, ref=ref, environment=python)) == '"1"'


async def test_the_memory_of_preloaded_packages_is_not_that_of_the_script(shared, trees):
    environment = preloading(trees, "large")
    report = await report_of(
        shared, run_of("import large\nheld = bytes(100 << 20)\nresult = len(large.HELD)", environment=environment)
    )
    assert (report.failure, report.result) == (None, str(96 << 20))
    assert report.memory_usage_bytes < 110 << 20
    over = await failure_of(shared, run_of("held = b'1' * (130 << 20)", environment=environment))
    assert over.code == "MEMORY_LIMIT"


async def test_no_two_workers_draw_the_same_random_numbers(shared, python):
    source = "import numpy.random\nresult = numpy.random.SEED"
    seeds = [await result_of(shared, run_of(source, environment=python)) for _ in range(3)]
    assert len(set(seeds)) == 3


async def test_memory_of_a_package_that_no_fork_shares_may_be_preloaded(shared, trees):
    environment = preloading(trees, "own")
    assert await result_of(shared, run_of("import own\nresult = len(own.MEMORY)", environment=environment)) == "4096"


async def test_generators_that_drew_their_seeds_before_the_fork_draw_others(shared, trees):
    environment = preloading(trees, "drawing")
    source = "import drawing\nresult = [drawing.OWN.random(), drawing.FIXED.random(), drawing.SEEDED.random()]"
    drawn = [json.loads(await result_of(shared, run_of(source, environment=environment))) for _ in range(3)]
    assert [len(set(each)) for each in zip(*drawn, strict=True)] == [3, 1, 1]


@pytest.mark.parametrize("name", ["drawing", "importing"])
async def test_no_two_workers_of_nodejs_draw_the_same_random_numbers_by_a_package(shared, trees, name):
    environment = preloading(trees, name, "freezing", of="nodejs")
    source = f"const {{ draw }} = require('{name}'); return Array.from({{ length: 200 }}, draw).flat();"
    drawn = []
    for _ in range(6):
        run = run_of(source, language=Language.NODEJS, environment=environment)
        drawn += json.loads(await result_of(shared, run))
    assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("threads", "it leaves 1 thread running. Leave it out of preload"),
        ("files", "it leaves /environment/packaged.py open"),
        ("children", "it leaves a process running"),
        ("shared", "it leaves memory that all workers would share"),
        ("broken", "OSError: no data files"),
        ("absent", "ModuleNotFoundError: No module named 'absent'"),
        ("crash", "the packages of python-crash@1 cannot be used"),
    ],
)
async def test_a_preload_that_fails_names_its_package_and_is_not_repeated_at_once(shared, trees, name, why):
    await fails_once(shared, trees, name, why)


async def test_a_preload_that_does_not_end_is_stopped_at_its_limit(runtimes_dir, built, trees):
    options = SandboxOptions(runtimes_dir, languages=[Language.PYTHON], prewarmed=0, queue_timeout_s=30, preload_s=2)
    runner = SandboxScriptRunner(options, built(options), trees=trees)
    await runner.open()
    await fails_once(runner, trees, "endless", "the limit of a preload is 2 s")
    await runner.close(5)


async def fails_once(runner: SandboxScriptRunner, trees: Folders, name: str, why: str) -> None:
    """Check that the preload of a package fails with a reason, and that a second run repeats the reason at once."""
    environment = preloading(trees, name)
    with pytest.raises(RuntimeUnavailable) as raised:
        await report_of(runner, run_of("result = 1", environment=environment))
    assert why in raised.value.message
    started = sum(1 for each in runner.debug_snapshot().zygotes)
    with pytest.raises(RuntimeUnavailable) as again:
        await report_of(runner, run_of("result = 1", environment=environment))
    assert again.value.message == raised.value.message
    assert sum(1 for each in runner.debug_snapshot().zygotes) <= started


@pytest.mark.parametrize("name", ["threads", "files", "shared", "broken"])
async def test_packages_that_are_not_preloaded_harm_their_own_execution_only(shared, trees, name):
    environment = preloading(trees)
    report = await report_of(shared, run_of(f"import {name}\nresult = 1", environment=environment))
    assert (report.failure is None) == (name != "broken")
    assert await result_of(shared, run_of("result = 1", environment=environment)) == "1"


@pytest.mark.parametrize(
    "source",
    [
        "open('/environment/packaged.py', 'a')",
        "open('/environment/new.py', 'w')",
        "import os; os.unlink('/environment/packaged.py')",
        "import os; os.chmod('/environment', 0o777)",
        "import os; os.symlink('/etc', '/environment/etc')",
    ],
)
async def test_no_script_writes_to_its_packages_even_if_every_user_might(shared, trees, source):
    writable = trees.add("writable", PYTHON_TREE)
    for each in (trees.path_of(writable), *trees.path_of(writable).iterdir()):
        each.chmod(0o777)
    failure = await failure_of(shared, run_of(source, environment=writable))
    assert "Read-only file system" in failure.message


async def test_a_tree_that_cannot_be_held_starts_nothing_and_is_asked_for_again(shared, trees):
    missing = Environment("missing", 1, "0" * 64)
    for _ in range(2):
        before = trees.holds
        with pytest.raises(StorageUnavailable):
            await report_of(shared, run_of("result = 1", environment=missing))
        assert trees.holds == before + 1


async def test_an_environment_gives_way_to_another_unless_it_runs(runtimes_dir, built, trees, python):
    options = SandboxOptions(runtimes_dir, [Language.PYTHON], prewarmed=0, environments_max=1, queue_timeout_s=30)
    other = preloading(trees, "packaged")
    runner = SandboxScriptRunner(options, built(options), trees=trees)
    await runner.open()
    held = len(trees.held)
    try:
        ref = new_session()
        await result_of(runner, run_of("result = 1", ref=ref, environment=python))
        await result_of(runner, run_of("result = 1", environment=other))
        await until(lambda: len(trees.held) == held + 1)
        assert [each.path.name for each in trees.held[held:]] == [other.name]
        assert (await report_of(runner, run_of("result = 1", ref=ref, environment=python))).cold_start
        worker = await runner.acquire(run_of("result = 1", environment=python))
        with pytest.raises(Overloaded):
            await runner.acquire(run_of("result = 1", environment=other))
        await worker.release()
    finally:
        await runner.close(5)
    assert len(trees.held) == held


async def test_a_host_without_trees_refuses_scripts_with_an_environment(runtimes_dir, built, python):
    options = SandboxOptions(runtimes_dir, [Language.PYTHON], prewarmed=0)
    runner = SandboxScriptRunner(options, built(options))
    await runner.open()
    try:
        with pytest.raises(RuntimeUnavailable, match="no packages of environments"):
            await runner.acquire(run_of("result = 1", environment=python))
    finally:
        await runner.close(5)


async def test_modules_import_the_packages_of_their_environment(shared, nodejs):
    source = "import { make } from 'packaged'; import * as own from 'es-module'; export default [make(), own.answer]"
    run = run_of(source, language=Language.NODEJS, environment=nodejs, syntax=Syntax.MODULE)
    report = await report_of(shared, run)
    assert (report.failure, report.result) == (None, "[42,42]")


async def test_packages_of_nodejs_are_loaded_before_the_fork_and_may_make_functions(shared, nodejs):
    source = "const { pid, make } = require('packaged'); return [pid === 1, make(), require('es-module').answer];"
    run = run_of(source, language=Language.NODEJS, environment=nodejs)
    assert await result_of(shared, run) == "[false,42,42]"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "neither Node.js nor the environment of the session has it"),
        ("./node_modules/packaged", "neither Node.js nor the environment"),
        ("/environment/node_modules/packaged", "neither Node.js nor the environment"),
        ("", "neither Node.js nor the environment"),
        ("needs", "Cannot find module 'absent'"),
        ("broken", "no data files"),
    ],
)
async def test_a_package_that_is_not_there_is_named(shared, nodejs, name, message):
    run = run_of(f"return require({json.dumps(name)});", language=Language.NODEJS, environment=nodejs)
    assert message in (await failure_of(shared, run)).message


@pytest.mark.parametrize(
    ("name", "why"),
    [("timers-left", "Timeout number"), ("files-left", "/environment/package.json open"), ("broken", "no data files")],
)
async def test_a_preload_of_nodejs_that_fails_names_its_package(shared, trees, name, why):
    environment = preloading(trees, name, of="nodejs")
    with pytest.raises(RuntimeUnavailable) as raised:
        await report_of(shared, run_of("return 1;", language=Language.NODEJS, environment=environment))
    assert f"the preload of {name} failed: " in raised.value.message
    assert why in raised.value.message


async def test_executed_workers_of_nodejs_find_the_packages_too(runtimes_dir, built, trees, nodejs):
    options = SandboxOptions(
        runtimes_dir, [Language.NODEJS], prewarmed=0, node_start=NodeStart.EXEC, queue_timeout_s=30
    )
    runner = SandboxScriptRunner(options, built(options), trees=trees)
    await runner.open()
    try:
        run = run_of("return require('packaged').make();", language=Language.NODEJS, environment=nodejs)
        assert await result_of(runner, run) == "42"
    finally:
        await runner.close(5)


async def test_a_trial_tells_what_a_preload_costs(shared, trees):
    tree = trees.path_of(preloading(trees, "large"))
    facts = await shared.tree_trial().trial(Language.PYTHON, tree, ["large"], 128)
    assert 96 < facts.private_mb < 140
    assert facts.data_mb > 96
    assert facts.mapped_mb > facts.data_mb
    assert facts.cpu_ms > 0


@pytest.mark.parametrize(
    ("language", "name"), [(Language.PYTHON, "threads"), (Language.NODEJS, "timers-left"), (Language.NODEJS, "needs")]
)
async def test_a_trial_of_a_bad_preload_fails(shared, trees, language, name):
    tree = trees.path_of(preloading(trees, name, of=str(language)))
    with pytest.raises(TrialFailed, match=f"the preload of {name} failed"):
        await shared.tree_trial().trial(language, tree, [name], 128)


async def test_a_package_that_the_environment_lacks_is_named_as_one(shared, python):
    failure = await failure_of(shared, run_of("import absent", environment=python))
    assert failure.message == "No module named 'absent' (the environment of the session does not have it)"
