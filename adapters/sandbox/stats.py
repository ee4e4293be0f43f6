"""What a sandbox tells of itself in figures."""

from collections.abc import Mapping
from enum import StrEnum

from attrs import frozen

from adapters.histogram import Histogram
from domain.scripts.language import Language


class Eviction(StrEnum):
    """Why a worker was taken from its session."""

    PRESSURE = "pressure"
    """Another session needed the place, or its memory."""
    IDLE = "idle"
    """It was not used for long, or its session's time is over."""
    ENDED = "ended"
    """Its session was closed."""
    BACKGROUND_ACTIVITY = "background_activity"
    """It used CPU or memory after its result."""
    DIED = "died"
    """It died while it was idle."""


@frozen
class StartStats:
    """Workers of one language that wait for a session; starts since the beginning, with their durations in seconds."""

    spares: int
    starts: int
    start_failures: int
    durations: Histogram
    available: bool


@frozen
class SandboxStats:
    """Workers that are bound to sessions, running or idle; calls that wait for one; memory that they count for.

    `evictions` and `protocol_breaks` count since the start.
    """

    running: int
    idle: int
    bound_max: int
    running_max: int
    waiting: int
    processes: int
    memory_bytes: int
    memory_bytes_max: int
    evictions: Mapping[Eviction, int]
    protocol_breaks: int
    languages: Mapping[Language, StartStats]
