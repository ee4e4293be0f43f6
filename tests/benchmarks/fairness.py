"""One owner's flood, and what a neighbour of theirs notices of it."""

import http.client
import json
import multiprocessing
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import cycle
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlsplit

from attrs import frozen

from domain.identity import Owner
from tests.benchmarks.database import Database
from tests.benchmarks.load import Load, LoadFailed, LoadGenerator
from tests.benchmarks.machine import Cores
from tests.benchmarks.measurement import quantile_ms
from tests.benchmarks.requests import request
from tests.benchmarks.servers import Server, pglambda, serving
from tests.benchmarks.watched import SECRET, bearer

_FLOODER, _NEIGHBOUR = Owner("flooder"), Owner("neighbour")
_FLOOD_CONNECTIONS = 600
_FLOOD_SESSIONS = 40
_FLOOD_SCRIPT = "import time\ntime.sleep(0.05)\nresult = 1"
_NEIGHBOUR_CONNECTIONS = 32
_NEIGHBOUR_SCRIPT = 'result = params["a"] + 1'
_RATES = {"get": 100, "execute": 10}
_TIMEOUT_S = 30.0
_SETTLE_S = 1.0


@frozen
class Noticed:
    """What the neighbour noticed: how many calls, times of the responses in milliseconds, and failures by status."""

    circumstances: str
    operation: str
    calls: int
    p50_ms: float
    p99_ms: float
    failures: Mapping[int, int]


@frozen
class Flooded:
    """What became of the flood: responses per second, and refusals by status."""

    circumstances: str
    rate: float
    refusals: Mapping[int, int]


@frozen
class Caller:
    """An owner at a server; without a token in `headers` everybody is one owner."""

    server: Server
    headers: Mapping[str, str]

    def initialize(self, script: str, count: int) -> list[str]:
        """Make sessions and return their ids."""
        where = urlsplit(self.server.url)
        connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=_TIMEOUT_S)
        headers = {**self.headers, "language-title": "python-x", "content-type": "application/json"}
        found = []
        for _ in range(count):
            connection.request("POST", "/api/v1/initialize", json.dumps({"script_content": script}), headers)
            found.append(json.loads(connection.getresponse().read())["request_id"])
        connection.close()
        return found

    def gets(self, sessions: list[str]) -> Iterator[bytes]:
        """Read the sessions in turn."""
        return cycle([request("GET", f"/api/v1/sessions/{each}", **self.headers) for each in sessions])

    def executes(self, sessions: list[str]) -> Iterator[bytes]:
        """Execute the sessions in turn."""
        body = {"params": {"a": 1}}
        return cycle([request("POST", f"/api/v1/execute/{each}", body, **self.headers) for each in sessions])


def run(database: Database, cores: Cores, folder: Path, seconds: float) -> tuple[list[Noticed], list[Flooded]]:
    """Measure a neighbour in quiet and under the flood: as an owner of their own, and as one with the flooder."""
    noticed: list[Noticed] = []
    flooded: list[Flooded] = []
    for title, secret in (("owners apart", SECRET), ("one owner", "")):
        auth = {"JWT_SECRET": secret} if secret else {"AUTH": "none"}
        with serving(pglambda(database.url, folder, **auth), cores.server) as server:
            neighbour = Caller(server, bearer(_NEIGHBOUR) if secret else {})
            sessions = neighbour.initialize(_NEIGHBOUR_SCRIPT, 2)
            if secret:
                noticed += _notice("quiet", neighbour, sessions, seconds)
            with _flood(Caller(server, bearer(_FLOODER) if secret else {}), 2 * seconds + 2 * _SETTLE_S) as ended:
                time.sleep(_SETTLE_S)
                noticed += _notice(f"flood, {title}", neighbour, sessions, seconds)
            load = ended.recv()
            flooded.append(Flooded(f"flood, {title}", load.rate, load.errors))
    return noticed, flooded


def table(noticed: list[Noticed], flooded: list[Flooded]) -> str:
    """Return a line for each measurement."""
    lines = [f"{'neighbour':<22} {'operation':<10} {'calls':>6} {'p50 ms':>8} {'p99 ms':>8}  failures"]
    lines += [
        f"{each.circumstances:<22} {each.operation:<10} {each.calls:>6} {each.p50_ms:>8.2f} {each.p99_ms:>8.2f}  "
        f"{_spoken(each.failures)}"
        for each in noticed
    ]
    lines += [
        f"{each.circumstances}: {each.rate:,.0f} responses/s, refused {_spoken(each.refusals)}" for each in flooded
    ]
    return "\n".join(lines)


def _notice(circumstances: str, caller: Caller, sessions: list[str], seconds: float) -> list[Noticed]:
    found = []
    for operation, calls in (("get", caller.gets(sessions)), ("execute", caller.executes(sessions))):
        with LoadGenerator(caller.server.url, _NEIGHBOUR_CONNECTIONS) as generator:
            load = generator.at_rate(calls, _RATES[operation], seconds)
        times_s = load.latencies_s
        p50_ms, p99_ms = quantile_ms(times_s, 0.5), quantile_ms(times_s, 0.99)
        found.append(Noticed(circumstances, operation, len(times_s), p50_ms, p99_ms, load.errors))
    return found


@contextmanager
def _flood(caller: Caller, seconds: float) -> Iterator[Connection]:
    """Let another process execute as fast as it gets responses; what it got comes through the connection."""
    sessions = caller.initialize(_FLOOD_SCRIPT, _FLOOD_SESSIONS)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    flooding = context.Process(target=_send_flood, args=(theirs, caller, sessions, seconds))
    flooding.start()
    assert ours.poll(_TIMEOUT_S)
    ours.recv()
    try:
        yield ours
    finally:
        flooding.join(seconds + _TIMEOUT_S)
        flooding.kill()


def _send_flood(said: Connection, caller: Caller, sessions: list[str], seconds: float) -> None:
    with LoadGenerator(caller.server.url, _FLOOD_CONNECTIONS) as generator:
        said.send(None)
        try:
            load = generator.keep_busy(caller.executes(sessions), seconds)
        except (LoadFailed, OSError):
            load = Load([], {0: 1}, seconds, 0.0)
    said.send(load)


def _spoken(statuses: Mapping[int, int]) -> str:
    return ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items())) or "-"
