"""How much is measured, and the steps that are taken on a server."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from attrs import frozen

from tests.benchmarks.http_runs import Times
from tests.benchmarks.measurement import Measurement
from tests.benchmarks.servers import Server


@frozen
class Scope:
    """How much is measured; everything else is measured at `connections` and `sizes[0]`."""

    connections: int
    sizes: Sequence[int]
    times: Times
    connections_small: Sequence[int]
    connections_large: Sequence[int]
    connections_peers: Sequence[int]
    sizes_peers: Sequence[int]


@frozen
class Step:
    """One thing to do while a server runs."""

    label: str
    work: Callable[[Server], Sequence[Measurement]]


@frozen
class Stage:
    """A server and the steps that are taken on it."""

    opens: Callable[[], AbstractContextManager[Server]]
    steps: Sequence[Step]


def no_server() -> AbstractContextManager[Server]:
    """Return what a stage opens that needs no server."""
    return nullcontext(Server("", 0))
