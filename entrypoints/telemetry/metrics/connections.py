"""What is counted of connections, and of answers that no request has got to."""

from collections.abc import Callable, Iterator
from http import HTTPStatus

from attrs import define, field

from entrypoints.telemetry.metrics.instruments import Counts
from entrypoints.telemetry.metrics.samples import Reading, counter, gauge, single

OPEN = gauge("pglambda_http_connections", "Open client connections.")
OPEN_MAX = gauge(
    "pglambda_http_connections_max",
    "Limit of client connections. A new one then replaces an idle one, or is rejected if none is idle.",
)
EVICTED = counter(
    "pglambda_http_connections_evicted_total",
    "Idle client connections that were closed in favour of new ones.",
)
REFUSALS = counter(
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


def _none_yet() -> Counts:
    counts = Counts(REFUSALS)
    for status in _STATUSES:
        counts.tell(str(status.value))
    return counts


@define(eq=False)
class ConnectionMetrics:
    """Counts refusals, and reads how many connections are open and how many were closed to make room."""

    _opened: Callable[[], int]
    _opened_max: int
    _evicted: Callable[[], int]
    _refusals: Counts = field(factory=_none_yet, init=False)

    def refused(self, status: HTTPStatus) -> None:
        """Take note of a refusal."""
        self._refusals.add(str(status.value))

    def read(self) -> Iterator[Reading]:
        """Yield the present figures."""
        yield single(OPEN, self._opened())
        yield single(OPEN_MAX, self._opened_max)
        yield single(EVICTED, self._evicted())
        yield self._refusals.reading()
