"""How many descriptors the service's processes may have, and for what."""

import contextlib
import resource

_BESIDE = 256
"""Of no client and no worker: the database's connections, files, pipes."""
_OF_A_WORKER = 8
"""A sandboxed worker's channel and streams, and what it is watched by."""
_SHARE_OF_CONNECTIONS = 0.25
"""What connections have before workers have any."""


def wanted(connections: int, workers: int) -> int:
    """Return how many a process needs that has so many connections and sandboxed workers."""
    return connections + workers * _OF_A_WORKER + _BESIDE


def attainable(enough: int) -> int | None:
    """Return how many this process may have once it has raised its limit to `enough`; None where there is no limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    return max(soft, enough if hard == resource.RLIM_INFINITY else min(hard, enough))


def raise_limit(enough: int) -> None:
    """Let this process, and those that it will start, have `enough`, or as many as they may.

    The usual limit, 1,024, is there for programs that wait with select(2).
    """
    limit = attainable(enough)
    if limit is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def room_for_workers(workers_max: int) -> int:
    """Return how many sandboxed workers this process can hold beside connections."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return workers_max
    return max(1, min(workers_max, (limit - int(limit * _SHARE_OF_CONNECTIONS) - _BESIDE) // _OF_A_WORKER))


def room_for_connections(connections_max: int, workers_max: int) -> int:
    """Return how many connections this process can hold beside so many workers, or those for which there is room."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return connections_max
    return max(1, min(connections_max, limit - wanted(0, room_for_workers(workers_max))))
