"""CPU time of a runtime host for one execute, without the script: `python -m tests.benchmarks.runtime_host`."""

import asyncio
import json
import logging
import statistics
import sys
import time
from uuid import uuid4

import structlog
from typing_extensions import override

from adapters.memory.script_runner import MemoryScriptRunner
from domain.json_text import JsonText
from domain.scripts.ports import Worker
from domain.scripts.report import ScriptReport
from entrypoints.http.instrumentation import AccessLog
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
from entrypoints.runtime_host.telemetry import HostMetrics
from tests.unit.runtimes.test_runtime_host import execute_body

_ROUNDS = 9
_CALLS = 3000
_HEADERS = [(b"content-type", b"application/json"), (b"authorization", b"Bearer s3cret")]


class EndedWorker(Worker):
    """Ends at once."""

    @override
    async def run(self) -> ScriptReport:
        return ScriptReport(JsonText('{"n":1}'), None, 1.5)

    @override
    async def release(self) -> None:
        return


class EndedRunner(MemoryScriptRunner):
    """Runs nothing, so that the host's own work is left."""

    @override
    async def acquire(self, run) -> Worker:
        return EndedWorker()


async def measure() -> list[float]:
    """Return the microseconds of each round."""
    host = HostApi(EndedRunner(), RuntimeHostOptions(token="s3cret", executions_max=_ROUNDS * _CALLS))
    app = host.app([HostMetrics(), AccessLog(structlog.get_logger(), "host.access", has_owners=False)])
    rounds = []
    for _ in range(_ROUNDS):
        bodies = [json.dumps(execute_body(execution_id=str(uuid4()))).encode() for _ in range(_CALLS)]
        started_s = time.process_time()
        for body in bodies:
            await _execute(app, body)
        rounds.append((time.process_time() - started_s) / _CALLS * 1e6)
    return rounds


async def _execute(app, body: bytes) -> None:
    messages = [{"type": "http.request", "body": body}]

    async def receive():
        if not messages:
            await asyncio.Event().wait()
        return messages.pop()

    async def send(message) -> None:
        assert message.get("status", 200) == 200

    scope = {"type": "http", "method": "POST", "path": "/execute", "headers": _HEADERS, "query_string": b""}
    await app(scope, receive, send)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    rounds = asyncio.run(measure())
    sys.stdout.write(f"{statistics.median(rounds):.1f} us for one execute, {min(rounds):.1f} to {max(rounds):.1f}\n")
