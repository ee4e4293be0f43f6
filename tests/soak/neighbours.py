"""The latencies of a neighbour while attackers use up all their limits."""

import asyncio
import math
import time
from collections.abc import Sequence

from attrs import define, frozen

from adapters.sandbox.runner import SandboxScriptRunner
from domain.errors import DomainError
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from tests.contracts.script_runs import new_session, report_of, run_of
from tests.soak.scripts import ATTACKS

_PAUSE_S = 0.005
_LIMITS = Limits(timeout_ms=1000, memory_mb=64, isolation=Isolation.SESSION)
_SOURCES = {Language.PYTHON: "result = params['n'] + 1", Language.NODEJS: "return event.params.n + 1"}
FACTOR_MAX = 3.0


@frozen
class Neighbour:
    """Latencies in milliseconds of one neighbour's calls, quiet and beside attackers."""

    language: Language
    quiet_ms: Sequence[float]
    loud_ms: Sequence[float]
    failed: int
    attacks: int

    @property
    def factor(self) -> float:
        """The p99 beside attackers as a multiple of the quiet p99."""
        return quantile(self.loud_ms, 0.99) / quantile(self.quiet_ms, 0.99)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of all values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


@define(eq=False)
class Neighbours:
    """Calls as a neighbour, and as several attackers at once."""

    runner: SandboxScriptRunner
    attackers: int
    seconds: float
    failed: int = 0
    attacks: int = 0

    async def measure(self, language: Language) -> Neighbour:
        """Measure the neighbour alone, then beside the attackers."""
        self.failed = self.attacks = 0
        quiet = await self._call(language)
        attacking = [asyncio.ensure_future(self._attack(number)) for number in range(self.attackers)]
        await asyncio.sleep(0.5)
        loud = await self._call(language)
        for task in attacking:
            task.cancel()
        await asyncio.wait(attacking)
        return Neighbour(language, quiet, loud, self.failed, self.attacks)

    async def _call(self, language: Language) -> Sequence[float]:
        ref, latencies_ms = new_session(), []
        await report_of(self.runner, run_of(_SOURCES[language], '{"n": 1}', language=language, ref=ref))
        ends_at = time.monotonic() + self.seconds
        while time.monotonic() < ends_at:
            run = run_of(_SOURCES[language], '{"n": 1}', language=language, ref=ref)
            started_s = time.perf_counter()
            try:
                report = await report_of(self.runner, run)
                self.failed += report.result != "2"
            except DomainError:
                self.failed += 1
            latencies_ms.append((time.perf_counter() - started_s) * 1000)
            await asyncio.sleep(_PAUSE_S)
        await self.runner.evict(ref.session_id)
        return latencies_ms

    async def _attack(self, number: int) -> None:
        while True:
            language, source = ATTACKS[number % len(ATTACKS)]
            number += 1
            self.attacks += 1
            await report_of(self.runner, run_of(source, language=language, limits=_LIMITS))
