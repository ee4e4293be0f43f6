"""Figures of a sandbox."""

from collections.abc import Mapping
from enum import StrEnum

from attrs import frozen

from domain.histogram import Histogram
from domain.scripts.language import Language


class Eviction(StrEnum):
    """Why a worker was taken from its session."""

    PRESSURE = "pressure"
    """Another session needed the slot, or its memory."""
    IDLE = "idle"
    """It was idle for too long, or its session has expired."""
    ENDED = "ended"
    """Its session was closed."""
    BACKGROUND_ACTIVITY = "background_activity"
    """It computed or allocated memory while it had no execution."""
    DIED = "died"
    """It died while it was idle."""


@frozen
class StartStats:
    """Prewarmed workers of one language, and its starts since the service started; durations in seconds."""

    prewarmed: int
    starts: int
    start_failures: int
    durations: Histogram
    available: bool


@frozen
class SandboxStats:
    """Workers of sessions, running or idle; calls that wait for one; memory that these workers count for.

    `evictions` and `protocol_breaks` count since the service started.
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
