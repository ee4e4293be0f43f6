"""A rehearsal that kills itself at a write: `python -m tests.faults.mortal_rehearsal STEP DATABASE_URL`.

At an even step 2 n the process dies before the n-th statement that writes, at an odd one after it. It does what a front
and the command do: it begins a recording, stores calls, judges them, and discards them.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from typing_extensions import override

from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.repositories.recordings import PostgresRecordingStore
from adapters.postgres.repositories.takeover import PostgresTakeoverStore
from adapters.postgres.statements.catalogue import load_statements
from adapters.random_ids import RandomIds
from adapters.system_clock import SystemClock
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.takeover.recorder import Recorder
from domain.takeover.rehearser import Rehearser, Sandboxes
from tests.contracts.takeover_store import origin_id
from tests.unit.takeover.test_rehearser import EndingRunner, Findings

CALLS = 20
LIVES = -1
"""A step at which nothing is killed."""
RESULT = JsonText("1")


class MortalGateway(Gateway):
    """Counts the statements that write, and dies at one of them."""

    writes = 0

    def __init__(self, options: GatewayOptions, step: int) -> None:
        super().__init__(options)
        self._step = step

    @override
    async def fetch(self, statement: Statement, parameters: Mapping[str, object], **how: Any) -> list[tuple[Any, ...]]:
        if statement.name.startswith("select_"):
            return await super().fetch(statement, parameters, **how)
        number, self.writes = self.writes, self.writes + 1
        self._die_at(2 * number)
        rows = await super().fetch(statement, parameters, **how)
        self._die_at(2 * number + 1)
        return rows

    def _die_at(self, step: int) -> None:
        if step == self._step:
            os.kill(os.getpid(), signal.SIGKILL)


async def rehearse(step: int, database_url: str) -> dict[str, int]:
    """Record a call of each copy, run the calls, and discard them; return how many executions that took."""
    statements, clock = load_statements(), SystemClock()
    gateway = MortalGateway(GatewayOptions(database_url, request_timeout_s=10), step)
    await gateway.open()
    recordings = PostgresRecordingStore(gateway, statements.recordings)
    await recordings.start(clock.now(), clock.now() + timedelta(hours=1))
    recorder = Recorder(recordings, clock, RandomIds())
    for session_id in map(origin_id, range(CALLS)):
        recorder.add(session_id, RESULT, RESULT)
    await recorder.flush()
    runner = EndingRunner(ends={convention: [RESULT] * 10 * CALLS for convention in Convention})
    copies = PostgresTakeoverStore(gateway, statements.takeover)
    sandboxes = Sandboxes(dict.fromkeys(Language, runner), Findings())
    rehearser = Rehearser(recordings, copies, clock, RandomIds(), sandboxes)
    judged = [each async for batch in rehearser.run(dry_run=False) for each in batch.judgements]
    removed = await recordings.discard()
    await gateway.close()
    return {"judged": len(judged), "runs": len(runner.runs), "removed": removed}


if __name__ == "__main__":
    asyncio.run(rehearse(int(sys.argv[1]), sys.argv[2]))
