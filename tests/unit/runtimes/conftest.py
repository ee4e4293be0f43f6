"""Runners whose hosts are played by respx."""

import pytest

from adapters.remote_runtime.connection import HostConnection
from adapters.remote_runtime.dial import NoStream
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.script_runner import HttpScriptRunner
from adapters.remote_runtime.stream import HostStream
from domain.scripts.language import Language

HOST = "http://one.test"


async def over_http(connection: HostConnection, options: RuntimeOptions, stream: HostStream) -> None:
    """Dial a host of an earlier release, which has no stream."""
    raise NoStream(404)


class ManualMonotonic:
    """A monotonic clock that the test advances."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def monotonic():
    return ManualMonotonic()


@pytest.fixture
def options():
    return RuntimeOptions(token="s3cret", queue_timeout_s=0.1, result_size_max=1000, output_size_max=100)


@pytest.fixture
async def runner(options):
    """One host, for Python and Node.js."""
    runner = HttpScriptRunner(options, {language: [HOST] for language in Language}, dial=over_http)
    await runner.open()
    yield runner
    await runner.close()


@pytest.fixture
def host(httpx2_mock):
    """The paths of the one host."""
    return httpx2_mock
