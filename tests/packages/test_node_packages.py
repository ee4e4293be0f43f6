"""lodash, zod, date-fns and ajv in environments, in the real sandbox; run by `make proof`."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from adapters.sandbox.options import NodeStart, SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from domain.scripts.environment import Environment
from domain.scripts.language import Language
from tests.contracts.script_runs import new_session, report_of, run_of
from tests.packages.trees import NODEJS, nodejs_tree
from tests.support.folders import shared_folder
from tests.support.packages import Folders

pytestmark = pytest.mark.asyncio(loop_scope="module")

USES = {
    "lodash": "return require('lodash').chunk([1, 2, 3], 2);",
    "zod": "const { z } = require('zod'); return z.object({ a: z.number() }).parse({ a: 1 });",
    "date-fns": "return require('date-fns').formatISO(new Date(0), { representation: 'date' });",
    "ajv": "const Ajv = require('ajv'); return new Ajv().compile({ type: 'integer' })(1);",
}
RESULTS = {"lodash": "[[1,2],[3]]", "zod": '{"a":1}', "date-fns": '"1970-01-01"', "ajv": "true"}


@pytest.fixture(scope="module", params=[NodeStart.FORK, NodeStart.EXEC])
def start(request):
    return request.param


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(start) -> AsyncIterator[tuple[SandboxScriptRunner, dict[str, Environment]]]:
    with shared_folder() as folder:
        tree = nodejs_tree(folder / "tree")
        trees = Folders(folder / "trees")
        environments = {"preloaded": trees.add_folder("data", tree, NODEJS), "bare": trees.add_folder("bare", tree)}
        options = SandboxOptions(
            folder / "runtimes", [Language.NODEJS], prewarmed=0, queue_timeout_s=60, node_start=start
        )
        runner = SandboxScriptRunner(options, trees=trees)
        await runner.open()
        yield runner, environments
        await runner.close(5)


@pytest.mark.parametrize("kind", ["preloaded", "bare"])
@pytest.mark.parametrize("name", NODEJS)
async def test_a_package_works_and_its_worker_is_kept(world, name, kind):
    runner, environments = world
    ref = new_session()
    runs = [run_of(USES[name], ref=ref, language=Language.NODEJS, environment=environments[kind]) for _ in range(2)]
    reports = [await report_of(runner, each) for each in runs]
    assert [(each.failure, each.result) for each in reports] == [(None, RESULTS[name])] * 2
    assert not reports[1].cold_start


async def test_a_trial_measures_a_preload_only_where_workers_are_forked(world, start):
    runner, environments = world
    facts = await runner.tree_trial().trial(
        Language.NODEJS, runner.trees.path_of(environments["bare"]), list(NODEJS), 128
    )
    assert (facts.cpu_ms > 0) == (start is NodeStart.FORK)
