"""The sandbox keeps the contract of ScriptRunner."""

from collections.abc import AsyncIterator

import pytest

from adapters.sandbox.runner import SandboxScriptRunner
from domain.scripts.language import Language
from tests.contracts.script_runner import ScriptLimitsContract, ScriptRunnerContract
from tests.integration.sandbox.conftest import Opened


class TestSandboxScriptRunner(ScriptRunnerContract, ScriptLimitsContract):
    @pytest.fixture
    async def runner(self, opened: Opened) -> AsyncIterator[SandboxScriptRunner]:
        limits = {"warm_workers_max": self.workers_max, "queue_length_max": self.queue_max, "queue_timeout_s": 1.0}
        async with opened(languages=[Language.PYTHON], **limits) as runner:
            yield runner
