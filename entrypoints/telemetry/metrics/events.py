"""Metrics of the streams of live events."""

from collections.abc import Callable, Iterable

from prometheus_client.core import Metric
from typing_extensions import override

from entrypoints.telemetry.metrics.instruments import Collectors, Counts, counter, gauge

_OPEN = gauge("pglambda_event_streams", "Open streams of live events.")
_REASONS = ("ended", "complete", "disconnected", "stalled", "failed")


class EventMetrics(Collectors):
    """Counts streams by how they end, and the bytes that they send; `reader_count` returns how many are open."""

    def __init__(self, reader_count: Callable[[], int]) -> None:
        self.ended = Counts(
            counter(
                "pglambda_event_streams_ended_total",
                "Streams of live events: ended (with the end of their execution), complete (before it: the client is "
                "to reconnect), disconnected, stalled (the client read nothing for 30 seconds) or failed.",
                "reason",
            )
        )
        self.sent = Counts(counter("pglambda_event_stream_bytes_total", "Bytes that streams of live events have sent."))
        super().__init__(self.ended, self.sent)
        self._reader_count = reader_count
        self.sent.start()
        for reason in _REASONS:
            self.ended.start(reason)

    @override
    def collect(self) -> Iterable[Metric]:
        yield _OPEN.single(self._reader_count())
        yield from super().collect()
