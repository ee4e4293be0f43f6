"""Numbers that the database adapters and the sandbox report about themselves; counts are since the process started."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from itertools import chain

from attrs import evolve, field, frozen

from domain.cleanup import CleanupStats
from domain.histogram import Histogram
from domain.scripts.language import Language
from domain.storage.storage import ShortenedDay, StorageBudget, Stored


@frozen
class PoolStats:
    """Connections of a pool: open or being opened, their limit, idle ones; statements that wait or are in flight.

    `connects` counts the attempts to connect, and `connect_errors` those that failed.
    """

    pool_size: int
    pool_size_max: int
    pool_idle: int
    pool_waiting: int
    in_flight: int
    connects: int
    connect_errors: int


PINGS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""The bounds of the histogram of pings to runtime hosts."""


@frozen
class RuntimeStreamStats:
    """Runtime hosts by the state of their stream, choices of one by reason, and how often one was left, by state.

    `unknown` are the executions whose end is unknown by reason, `messages` those of streams by kind, and `pings_s` the
    seconds that pings took. `waiting` executions and checks wait for a host, or for room at one.
    """

    waiting: int
    states: Mapping[str, int]
    choices: Mapping[str, int]
    left: Mapping[str, int]
    unknown: Mapping[str, int]
    messages: Mapping[str, int]
    pings_s: Histogram


@frozen
class CoalescerStats:
    """Calls that wait and batches in flight now, and counts.

    `sizes` are the calls of each batch. `waits` are the seconds that the oldest call of each batch waited.
    """

    waiting: int
    waiting_bytes: int
    in_flight: int
    calls: int
    batches: int
    overloaded: int
    sizes: Histogram
    waits: Histogram


@frozen
class ClockStats:
    """How far the database's clock is ahead of the host's, and how precisely it is known; None before it was read.

    `correction_ms` is what is added to the clock of the database's server since a failover.
    """

    offset_ms: float | None
    error_bound_ms: float | None
    correction_ms: float
    is_ready: bool


@frozen
class StorageState:
    """The last survey of the storage: its size, and the days of history that the budget has removed.

    `is_exceeded` means that more is stored than the budget allows, and no day of history is left to remove.
    """

    measured_at: datetime
    stored: Stored
    shortened: Sequence[ShortenedDay]
    is_exceeded: bool

    @classmethod
    def together(cls, buckets: Sequence["StorageState"], budget: StorageBudget) -> "StorageState":
        """Return the state of several buckets, which have one budget; measured when the first of them was."""
        measured_at = min(each.measured_at for each in buckets)
        stored = Stored.together(each.stored for each in buckets)
        shortened: dict[date, ShortenedDay] = {}
        for each in chain.from_iterable(bucket.shortened for bucket in buckets):
            known = shortened.get(each.day)
            size_bytes = each.size_bytes + (0 if known is None else known.size_bytes)
            shortened[each.day] = evolve(each, size_bytes=size_bytes)
        is_exceeded = budget.exceeded(stored) and budget.day_to_shorten(stored, measured_at) is None
        return cls(measured_at, stored, [shortened[day] for day in sorted(shortened)], is_exceeded)


@frozen
class BucketStats:
    """Buckets that are away now, and counts: reads of where the buckets lie, and moves of one that were found.

    `copies_compared_at` is when the copies of webhooks were last as on the coordinator, or the first attempt began.
    `clock_offsets_ms` is how far the clock of each node that responds is ahead of the time of the service, by address.
    """

    away: int
    placement_reads: int
    moves: int
    copies_compared_at: datetime | None
    clock_offsets_ms: Mapping[str, float] = field(factory=dict)


@frozen
class DatabaseStats:
    """The numbers of all database adapters; pools and coalescers by name, `storage` is None before the first survey.

    `buckets` is None if the database is not distributed.
    """

    pools: Mapping[str, PoolStats]
    coalescers: Mapping[str, CoalescerStats]
    clock: ClockStats
    cleanup: CleanupStats
    storage: StorageState | None
    budget: StorageBudget
    buckets: BucketStats | None = None


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
    """Prewarmed workers of one language, and its worker starts; durations in seconds."""

    prewarmed: int
    starts: int
    start_failures: int
    durations: Histogram
    available: bool


@frozen
class SandboxStats:
    """Workers of sessions, running or idle; calls that wait for one; memory that these workers count for.

    `evictions`, `protocol_violations` and `preload_failures` are counts; `environments` have a zygote now.
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
    environments: int
    preload_failures: int
    languages: Mapping[Language, StartStats]
