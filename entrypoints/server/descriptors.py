"""File descriptors: how many a process needs, may have, and can divide among connections and workers."""

import contextlib
import resource

_RESERVED = 512
"""For database connections, files and pipes, and for prewarmed workers and syntax checks."""
_PER_WORKER = 6
"""For a sandboxed worker: its channel, its two streams, its process and two files of `/proc`."""
_CONNECTIONS_SHARE = 0.25
"""The share of connections if there are too few descriptors for both."""


def descriptors_needed(connections: int, workers: int) -> int:
    """Return how many descriptors a process needs for so many connections and sandboxed workers."""
    return connections + workers * _PER_WORKER + _RESERVED


def attainable(enough: int) -> int | None:
    """Return the limit that this process can have if it raises it to `enough`; None if there is no limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    return max(soft, enough if hard == resource.RLIM_INFINITY else min(hard, enough))


def raise_limit(enough: int) -> None:
    """Raise the limit of this process and its future children to `enough`, or as far as allowed.

    The usual limit of 1,024 exists for programs that use select(2).
    """
    limit = attainable(enough)
    if limit is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def workers_within_limit(workers_max: int) -> int:
    """Return how many of the sandboxed workers this process has descriptors for, beside connections."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return workers_max
    return max(1, min(workers_max, (limit - int(limit * _CONNECTIONS_SHARE) - _RESERVED) // _PER_WORKER))


def connections_within_limit(connections_max: int, workers_max: int) -> int:
    """Return how many of the connections this process has descriptors for, beside the workers."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return connections_max
    return max(1, min(connections_max, limit - descriptors_needed(0, workers_within_limit(workers_max))))
