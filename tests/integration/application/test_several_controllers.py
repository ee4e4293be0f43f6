"""Two controllers on one database, called at the same time."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from adapters.memory.script_runner import MemoryRunnerOptions, MemoryScriptRunner
from domain.scripts.language import Language
from entrypoints.composition.controller import Controller
from entrypoints.composition.runners import Runners
from tests.integration.application.conftest import serving, settings_for
from tests.support.at_once import LIMITS, AtOnce, credentials_of


@pytest.fixture
async def two(database_url: str, data_dir: Path) -> AsyncIterator[AtOnce]:
    """Callers of two controllers, whose scripts run in this process: what they share is the database."""
    settings = settings_for(database_url, data_dir, **LIMITS)
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(2):
            controller = Controller(settings=settings)
            runner = MemoryScriptRunner(MemoryRunnerOptions(workers_max=64, queue_max=64))
            controller.runners.override(Runners(None, None, dict.fromkeys(Language, runner)))
            clients.append((await stack.enter_async_context(serving(controller.application()))).client)
        yield AtOnce(clients, credentials_of(settings))


async def test_two_controllers_that_are_called_at_once_keep_sessions_counts_keys_and_quotas_exact_and_rates_bounded(
    two: AtOnce,
) -> None:
    await two.sessions_are_found_everywhere(20)
    await two.executions_of_one_session_are_counted_once_each(60)
    await two.each_key_takes_effect_once(10)
    await two.a_quota_of_sessions_is_reached_and_not_exceeded()
    await two.a_rate_is_exceeded_by_a_rate_for_each_other_controller_at_most()
