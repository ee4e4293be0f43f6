"""What a process uses, and how late its event loop is."""

import asyncio
import time

from entrypoints.telemetry.metrics.loop_lag import LAG, LoopLag
from entrypoints.telemetry.metrics.process import ProcessMetrics
from entrypoints.telemetry.metrics.samples import MetricKind
from entrypoints.version import VERSION


def test_a_process_tells_its_release_and_what_it_uses():
    told = {reading.family.name: reading for reading in ProcessMetrics().read()}
    assert told["pglambda_build_info"].samples[0].labels[0] == VERSION
    assert told["process_resident_memory_bytes"].samples[0].value > 1_000_000
    assert told["process_open_fds"].samples[0].value > 0
    assert told["process_cpu_seconds_total"].family.kind is MetricKind.COUNTER


async def until_counted(lag, count):
    async with asyncio.timeout(5):
        while sum(sample(lag).counts) < count:  # noqa: ASYNC110  # a timer has no event to wait for
            await asyncio.sleep(0.001)


def sample(lag):
    ((only,),) = [reading.samples for reading in lag.read()]
    return only


async def test_what_holds_up_the_event_loop_is_seen():
    lag = LoopLag(interval_s=0.005)
    lag.start()
    await until_counted(lag, 2)
    before = sample(lag)
    busy_until = time.monotonic() + 0.03
    while time.monotonic() < busy_until:
        pass
    await until_counted(lag, sum(before.counts) + 1)
    lag.stop()
    assert sample(lag).value - before.value > 0.02
    late = sum(count for bound, count in zip((*LAG.bounds, 1e9), sample(lag).counts, strict=True) if bound > 0.01)
    assert late >= 1


async def test_once_stopped_it_looks_no_more():
    lag = LoopLag(interval_s=0.001)
    lag.start()
    await until_counted(lag, 1)
    lag.stop()
    lag.stop()
    counted = sum(sample(lag).counts)
    other = LoopLag(interval_s=0.001)
    other.start()
    await until_counted(other, 5)
    other.stop()
    assert sum(sample(lag).counts) == counted
