"""Executions end to end: over HTTP, in the sandbox, with the count and the history row stored."""

import http.client
import json
from collections.abc import Iterable
from itertools import cycle
from urllib.parse import urlsplit

from tests.benchmarks import requests
from tests.benchmarks.http_runs import Case, Contender
from tests.benchmarks.servers import Server

WARM_SESSIONS = 8
"""As many as find room for all workers that each may have."""

CROWDED_SESSIONS = 16
"""Twice as many: the workers that they may have do not all find room."""

_TIMEOUT_S = 30.0


def warm(server: Server, case: Case, language: str) -> Contender:
    """Return the contender that executes a few sessions again and again, whose workers are kept."""
    calls = cycle(
        [requests.execute(each) for each in initialized(server, [requests.initialize(language)] * case.sessions)]
    )
    return Contender(case, server, calls)


def initialized(server: Server, asked: Iterable[bytes]) -> list[str]:
    """Make sessions by these requests, one after the other, and return their ids."""
    where = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=_TIMEOUT_S)
    try:
        return [_initialize(connection, request) for request in asked]
    finally:
        connection.close()


def _initialize(connection: http.client.HTTPConnection, request: bytes) -> str:
    head, _, body = request.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    connection.request("POST", "/api/v1/initialize", body, headers)
    response = json.loads(connection.getresponse().read())
    if "error" in response:
        raise RuntimeError(f"A session was refused: {response['error']['message']}")
    return str(response["request_id"])
