"""Limits of one execution, and the server's policy for them."""

from collections.abc import Iterator
from enum import StrEnum

from attrs import field, frozen

from domain.errors import Problem

MEMORY_MB_MIN = 16
"""The smallest limit of memory that holds in every language: an interpreter takes part of it to run any script."""


def _enforceable(memory_mb: int) -> int:
    return max(memory_mb, MEMORY_MB_MIN)


class Isolation(StrEnum):
    """The lifetime of a worker: its session, or one execution."""

    SESSION = "session"
    PROCESS = "process"


@frozen
class Limits:
    """Limits of one execution: wall time in milliseconds, memory in MiB.

    `memory_mb` is what a script may hold beside its interpreter. Less than the smallest one, as sessions of earlier
    versions have, counts as the smallest one.
    """

    timeout_ms: int
    memory_mb: int = field(converter=_enforceable)
    isolation: Isolation


@frozen
class LimitsRequest:
    """The limits that a caller requests; None takes the server's default."""

    timeout_ms: int | None = None
    memory_mb: int | None = None
    isolation: Isolation | None = None


@frozen
class LimitsPolicy:
    """The server's defaults and maxima."""

    default: Limits
    timeout_ms_max: int
    memory_mb_max: int

    def problems(self, request: LimitsRequest) -> Iterator[Problem]:
        """Yield the limits that the server does not grant, by JSON pointer."""
        if (request.timeout_ms or 0) > self.timeout_ms_max:
            yield Problem("/limits/timeout_ms", f"must be at most {self.timeout_ms_max}")
        if (request.memory_mb or 0) > self.memory_mb_max:
            yield Problem("/limits/memory_mb", f"must be at most {self.memory_mb_max}")

    def grant(self, request: LimitsRequest) -> Limits:
        """Return the granted limits; a server that isolates by process does so for every session."""
        strict = Isolation.PROCESS in (request.isolation, self.default.isolation)
        return Limits(
            timeout_ms=request.timeout_ms or self.default.timeout_ms,
            memory_mb=request.memory_mb or self.default.memory_mb,
            isolation=Isolation.PROCESS if strict else Isolation.SESSION,
        )
