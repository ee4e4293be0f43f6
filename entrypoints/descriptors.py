"""How many descriptors the service's processes may have, of connections and files."""

import contextlib
import resource

_ENOUGH = 65_536
_BESIDE = 256
"""Of no client and no worker: the database's connections, files, pipes."""
_OF_A_WORKER = 8
"""A sandboxed worker's channel and streams, and what it is watched by."""
_SHARE_OF_CONNECTIONS = 0.25
"""What connections have, however few there are."""


def wanted(connections: int, workers: int) -> int:
    """Return how many a process needs that has so many connections and sandboxed workers."""
    return connections + workers * _OF_A_WORKER + _BESIDE


def attainable() -> int | None:
    """Return how many this process may have once it has raised its limit; None where there is no limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if resource.RLIM_INFINITY in {soft, hard} else max(soft, min(hard, _ENOUGH))


def raise_limit() -> None:
    """Let this process, and those that it will start, have as many as they may.

    The usual limit, 1,024, is there for programs that wait with select(2).
    """
    limit = attainable()
    if limit is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def room_for_connections(connections_max: int, workers: int) -> int:
    """Return how many connections leave room for the other descriptors of this process."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return connections_max
    return min(connections_max, max(limit - wanted(0, workers), int(limit * _SHARE_OF_CONNECTIONS), 1))
