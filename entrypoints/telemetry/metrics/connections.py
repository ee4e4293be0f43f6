"""Metrics of client connections, and of rejections before a request exists."""

from collections.abc import Callable, Iterable
from http import HTTPStatus

from attrs import define, field
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from entrypoints.telemetry.metrics.instruments import Counts, counter, gauge

_OPEN = gauge("pglambda_http_connections", "Open client connections.")
_OPEN_MAX = gauge(
    "pglambda_http_connections_max",
    "Limit of client connections. A new one then replaces an idle one, or is rejected if none is idle.",
)
_EVICTED = counter(
    "pglambda_http_connections_evicted_total", "Idle client connections that were closed in favour of new ones."
)
_REJECTIONS = counter(
    "pglambda_http_rejections_total",
    "Rejections before a request exists: no free connection (503), malformed HTTP (400), oversized head (414, 431).",
    "status",
)
_STATUSES = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_URI_TOO_LONG,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


@define(eq=False)
class ConnectionMetrics(Collector):
    """Counts rejections, and reads the numbers of open, allowed and evicted connections."""

    _opened: Callable[[], int]
    _opened_max: int
    _evicted: Callable[[], int]
    _rejections: Counts = field(factory=lambda: Counts(_REJECTIONS), init=False)

    def __attrs_post_init__(self) -> None:
        for status in _STATUSES:
            self._rejections.start(str(status.value))

    def rejected(self, status: HTTPStatus) -> None:
        """Count a rejection."""
        self._rejections.add(str(status.value))

    @override
    def collect(self) -> Iterable[Metric]:
        yield _OPEN.single(self._opened())
        yield _OPEN_MAX.single(self._opened_max)
        yield _EVICTED.single(self._evicted())
        yield from self._rejections.collect()
