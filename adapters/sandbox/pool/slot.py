"""A place: what belongs to one session, with a worker in it; and how many places there may be."""

from math import inf
from typing import Generic, TypeVar

from attrs import define, frozen

from adapters.sandbox.workers.prewarm_pool import Startable
from domain.identity import ANONYMOUS, Owner
from domain.scripts.language import Language

Process = TypeVar("Process", bound=Startable)


@frozen(cache_hash=True)
class SlotKind:
    """Workers of one kind can stand in for each other."""

    language: Language
    memory_mb: int

    @property
    def memory_bytes(self) -> int:
        """What one of them may take."""
        return self.memory_mb << 20


@frozen(cache_hash=True)
class SlotRequest:
    """Who asks, and for what; `keeps` is whether a worker may be kept warm and used again."""

    session: int
    """The number of its id, which hashes fast."""
    kind: SlotKind
    keeps: bool
    owner: Owner = ANONYMOUS


@define(eq=False)
class Slot(Generic[Process]):
    """A place that belongs to one session, with the worker that was put into it."""

    request: SlotRequest
    memory_bytes: int
    """What it counts for: all that it may take while it runs, what it was seen to hold while it is idle."""
    is_running: bool = True
    process: Process | None = None
    script_hash: str | None = None
    runs: int = 0
    idle_since: float = 0.0
    useful_until: float = inf
    ended: bool = False
    """Whether its session has ended, so that it is given up after the run."""


@frozen
class PoolLimits:
    """How many places there are in all and for each session, and how many calls may wait for one.

    `running_max` is how many executions may run at once, of which every owner has a fair share, `owner_running_max`
    how many of one owner; `memory_bytes_max` is what all places may take together. None leaves it to `places_max`.
    For `patience_s` a call rather waits for its session's own warm worker than takes the place of another session's: a
    start costs a hundred times what a warm run does. Of a session's runs that have begun within `burst_s` there are
    `bursts_max` at once (see Bursts).
    """

    places_max: int
    session_places_max: int
    queue_length_max: int
    queue_timeout_s: float
    running_max: int | None = None
    owner_running_max: int | None = None
    memory_bytes_max: int | None = None
    patience_s: float = 0.25
    bursts_max: int | None = None
    burst_s: float = 0.02
