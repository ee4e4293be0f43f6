"""The pauses between attempts at a host."""

import pytest

from adapters.remote_runtime.connection import HostConnection, HostUnreached
from adapters.remote_runtime.dial import KeptStream
from adapters.remote_runtime.fleet import HostView, ignore_change
from adapters.remote_runtime.options import RuntimeOptions
from tests.support.waiting import until


async def test_processes_that_lose_a_host_together_dial_it_again_apart():
    ranges, attempts = [], []

    def jitter(least, most):
        ranges.append((least, most))
        return 0.0

    async def miss(connection, options, stream):
        attempts.append(connection.url)
        raise HostUnreached("refused")

    options = RuntimeOptions()
    kept = KeptStream(HostConnection("http://a.test", options), HostView(), options, ignore_change, miss, jitter)
    kept.open()
    await until(lambda: len(attempts) > 8)
    await kept.close()
    assert set(ranges[0::2]) == {(0.05, 0.1)}
    assert [most for _, most in ranges[1::2]][:6] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2.0])
    assert all(least == most / 2 for least, most in ranges)
