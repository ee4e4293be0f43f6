"""What is counted of connections, and of answers that no request has got to."""

from collections.abc import Callable, Iterator
from http import HTTPStatus

from attrs import define, field

from entrypoints.telemetry.metrics.instruments import Counts
from entrypoints.telemetry.metrics.samples import Reading, counter, gauge, single

OPEN = gauge("pglambda_http_connections", "Connections of clients that are open.")
OPEN_MAX = gauge(
    "pglambda_http_connections_max",
    "Connections that the process keeps. A further one replaces one without a request, or is refused if all have one.",
)
EVICTED = counter(
    "pglambda_http_connections_evicted_total",
    "Connections without a request that were closed to make room for new ones.",
)
REFUSALS = counter(
    "pglambda_http_refusals_total",
    "Refusals before there was a request: of connections (503), of what cannot be read (400) or is too large (414, 431).",
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
