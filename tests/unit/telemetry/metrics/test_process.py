"""Metrics of the process, and the delay of its event loop."""

import asyncio
import time

from entrypoints.telemetry.metrics.process import LoopLag, ProcessMetrics
from entrypoints.version import VERSION


def test_a_process_reports_its_release_and_its_resources():
    found = {metric.name: metric for metric in ProcessMetrics().collect()}
    assert found["pglambda_build_info"].samples[0].labels["version"] == VERSION
    assert found["process_resident_memory_bytes"].samples[0].value > 1_000_000
    assert found["process_open_fds"].samples[0].value > 0
    assert found["process_cpu_seconds"].type == "counter"


async def until_counted(lag, count):
    async with asyncio.timeout(5):
        while sum(lag.lags.counts) < count:  # noqa: ASYNC110  # a timer has no event to wait for
            await asyncio.sleep(0.001)


async def test_a_blocked_event_loop_is_measured():
    lag = LoopLag(interval_s=0.005)
    lag.start()
    await until_counted(lag, 2)
    count, total_s = sum(lag.lags.counts), lag.lags.total
    busy_until = time.monotonic() + 0.03
    while time.monotonic() < busy_until:
        pass
    await until_counted(lag, count + 1)
    lag.stop()
    assert lag.lags.total - total_s > 0.02
    bounds = (*lag.lags.bounds, float("inf"))
    assert sum(count for bound, count in zip(bounds, lag.lags.counts, strict=True) if bound > 0.01) >= 1


async def test_a_stopped_measurement_counts_no_more():
    lag = LoopLag(interval_s=0.001)
    lag.start()
    await until_counted(lag, 1)
    lag.stop()
    lag.stop()
    assert not lag.is_running
    counted = sum(lag.lags.counts)
    other = LoopLag(interval_s=0.001)
    other.start()
    await until_counted(other, 5)
    other.stop()
    assert sum(lag.lags.counts) == counted
