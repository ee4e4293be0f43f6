"""What a process uses, and which release it is of."""

import platform
from collections.abc import Iterator

from prometheus_client import ProcessCollector

from entrypoints.telemetry.logs import dropped_lines
from entrypoints.telemetry.metrics.samples import Family, MetricKind, Reading, Sample, counter, gauge, single
from entrypoints.version import VERSION

BUILD = gauge(
    "pglambda_build_info", "Always 1. The labels have the release and the Python version.", "version", "python"
)

DROPPED = counter(
    "pglambda_log_lines_dropped_total", "Log lines that were dropped because the reader was too slow or gone."
)


class ProcessMetrics:
    """Reads what the system knows of this process, under the names that all client libraries give it."""

    def __init__(self) -> None:
        self._collector = ProcessCollector(registry=None)

    def read(self) -> Iterator[Reading]:
        """Yield the present figures; on a system without /proc there is the release alone."""
        yield Reading(BUILD, [Sample((VERSION, platform.python_version()), 1)])
        yield single(DROPPED, dropped_lines())
        for metric in self._collector.collect():
            (sample,) = metric.samples
            family = Family(name=sample.name, kind=MetricKind(metric.type), says=metric.documentation)
            yield Reading(family, [Sample((), sample.value)])
