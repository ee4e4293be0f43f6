"""Many forks of Node.js, one at a time: whether each of them works, and has random numbers of its own."""

import json
import time
from collections import Counter

import click
from attrs import define, field

from adapters.sandbox.workers.channel import Ending, encode_frame
from adapters.sandbox.workers.process import WorkerProcess
from adapters.sandbox.workers.worker_factory import WorkerFactory
from adapters.sandbox.zygote.launch import LaunchFailed
from adapters.sandbox.zygote.sandbox_spec import SandboxSpec

_TIMEOUT_S = 20.0
_STATED_EVERY = 10_000
_SHORT = "return [event.params + 1, Math.random()];"
_LONG_EVERY = 100
_LONG = """
const fs = require('fs/promises'), crypto = require('crypto'), { promisify } = require('util');
await fs.writeFile('/tmp/a', 'b');
await promisify(crypto.pbkdf2)('a', 'b', 10, 16, 'sha256');
await new Promise((resolve) => setTimeout(resolve, 1));
let kept = 0;
for (let turn = 0; turn < 20000; turn += 1) kept += [{ turn }].length;
return [event.params + Number(await fs.readFile('/tmp/a', 'utf8') === 'b') + kept - 20000, Math.random()];
"""


@define
class Forking:
    """Starts workers, runs a script in each, and ends them. A zygote is replaced as the service does it."""

    factory: WorkerFactory
    spec: SandboxSpec
    forks: int
    failures: Counter[str] = field(factory=Counter, init=False)
    _drawn: set[float] = field(factory=set, init=False)
    elapsed_s: float = field(default=0.0, init=False)

    async def run(self) -> "Forking":
        started_s = time.perf_counter()
        for number in range(self.forks):
            try:
                worker = await self.factory.start(self.spec)
            except LaunchFailed as error:
                self._fail(f"did not start: {error}")
                continue
            await self._use(worker, number)
            if (number + 1) % _STATED_EVERY == 0:
                click.echo(f"  {number + 1:,} forks, {self.failures.total()} failures", err=True)
        self.elapsed_s = time.perf_counter() - started_s
        return self

    def line(self) -> str:
        return f"{self.forks:,} forks of Node.js in {self.elapsed_s:.0f} s, {self.failures.total()} failures"

    def problems(self) -> list[str]:
        return [f"{count} forks {failure}" for failure, count in self.failures.items()]

    def _fail(self, failure: str) -> None:
        if failure not in self.failures:
            click.echo(f"  a fork {failure}", err=True)
        self.failures[failure] += 1

    async def _use(self, worker: WorkerProcess, number: int) -> None:
        script = _LONG if number % _LONG_EVERY == 0 else _SHORT
        event = json.dumps({"params": number, "context": {}, "request_id": ""}).encode()
        operations = encode_frame(b'{"op":"load","nonce":""}', script.encode())
        operations += encode_frame(b'{"op":"run","nonce":"n","result_size_max":100}', event)
        exchange = await worker.exchange(operations, _TIMEOUT_S)
        if exchange.ending is not Ending.REPLIED or exchange.frame is None:
            self._fail(f"ended with {exchange.ending}: {exchange.death} {worker.output.stderr.text()[:500]}")
            return
        self._judge(exchange.frame.header, exchange.frame.body, worker.output.stderr.text(), number)
        worker.kill()
        if not await worker.gone():
            self._fail("did not end")

    def _judge(self, header: bytes, body: bytes, stderr: str, number: int) -> None:
        if b'"reusable":true' not in header or stderr:
            self._fail(f"replied {header.decode()[:500]} {stderr[:500]}")
            return
        result, drawn = json.loads(body)
        if result != number + 1:
            self._fail("had a wrong result")
        if drawn in self._drawn:
            self._fail("drew a number again")
        self._drawn.add(drawn)
