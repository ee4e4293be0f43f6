"""Executions end to end: over HTTP, in the sandbox, with the count and the history row stored."""

import http.client
import json
from collections.abc import Iterator
from itertools import cycle
from urllib.parse import urlsplit

from tests.benchmarks import requests
from tests.benchmarks.http_runs import Case, Contender, Meter
from tests.benchmarks.load import LoadGenerator
from tests.benchmarks.measurement import Measurement
from tests.benchmarks.servers import Server

WARM_SESSIONS = 8
"""As many as find room for all workers that each may have."""

CROWDED_SESSIONS = 16
"""Twice as many: the workers that they may have do not all find room."""

_REFILLS = 60
_REFILL_CONNECTIONS = 8
_COLD_CONNECTIONS = 64
_TIMEOUT_S = 30.0


def warm(server: Server, case: Case, language: str) -> Contender:
    """Return the contender that executes a few sessions again and again, whose workers are kept."""
    calls = cycle([requests.execute(each) for each in initialized(server, language, case.sessions)])
    return Contender(case, server, calls)


def refill_rate(server: Server, language: str) -> float:
    """Return how many first executions a second there can be, which is how fast workers are started."""
    calls = [requests.execute(each) for each in initialized(server, language, _REFILLS)]
    with LoadGenerator(server.url, _REFILL_CONNECTIONS) as generator:
        return generator.each_once(calls).rate


def cold(
    server: Server, database_pid: int, case: Case, language: str, *, rate: float, duration_s: float
) -> Measurement:
    """Execute new sessions once, so many of them a second."""
    count = int(rate * duration_s) + 1
    calls = [requests.execute(each) for each in initialized(server, language, count)]
    with LoadGenerator(server.url, _COLD_CONNECTIONS) as generator:
        meter = Meter(server, database_pid)
        with meter.running():
            load = generator.at_rate(iter(calls), rate, (count - 1) / rate)
        return meter.measurement(case, load)


def initialized(server: Server, language: str, count: int) -> list[str]:
    """Make sessions and return their ids."""
    return list(_initialize(server, requests.initialize(language), count))


def _initialize(server: Server, request: bytes, count: int) -> Iterator[str]:
    """Make sessions one after the other and yield their ids."""
    head, _, body = request.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    where = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=_TIMEOUT_S)
    try:
        for _ in range(count):
            connection.request("POST", "/api/v1/initialize", body, headers)
            response = json.loads(connection.getresponse().read())
            if "error" in response:
                raise RuntimeError(f"A session was refused: {response['error']['message']}")
            yield response["request_id"]
    finally:
        connection.close()
