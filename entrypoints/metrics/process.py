"""What a process uses, and which release it is of."""

import platform
from collections.abc import Iterator

from prometheus_client import ProcessCollector

from entrypoints.metrics.readings import Family, Kind, Reading, Sample, gauge
from entrypoints.version import VERSION

BUILD = gauge(
    "pglambda_build_info", "Always 1; the release and the interpreter are in the labels.", "version", "python"
)


class ProcessMetrics:
    """Reads what the system knows of this process, under the names that all client libraries give it."""

    def __init__(self) -> None:
        self._collector = ProcessCollector(registry=None)

    def read(self) -> Iterator[Reading]:
        """Yield the present figures; on a system without /proc there is the release alone."""
        yield Reading(BUILD, [Sample((VERSION, platform.python_version()), 1)])
        for metric in self._collector.collect():
            (sample,) = metric.samples
            family = Family(name=sample.name, kind=Kind(metric.type), says=metric.documentation)
            yield Reading(family, [Sample((), sample.value)])
