"""Figures of a sandbox, and snapshots of its processes."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from attrs import frozen

from adapters.sandbox.isolation.control_group import ControlGroup
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

    `evictions` and `protocol_violations` count since the service started.
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
    protocol_violations: int
    languages: Mapping[Language, StartStats]


@frozen
class ZygoteSnapshot:
    """A zygote at an instant: its process ids, and its numbers of starts, living workers and open orders."""

    pid: int | None
    launcher_pid: int
    started: int
    workers: int
    orders: int


@frozen
class SandboxSnapshot:
    """The processes of a sandbox at an instant. A process without a known id is None."""

    workers: Sequence[int | None]
    idle_workers: Sequence[int | None]
    """Warm workers without an execution."""
    active_idle_workers: Sequence[int | None]
    """Those of them with background activity."""
    zygotes: Sequence[ZygoteSnapshot]
    group: ControlGroup | None
