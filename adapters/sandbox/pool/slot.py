"""Slots of a worker pool: each belongs to one session and holds at most one worker."""

from math import inf
from typing import Generic, TypeVar

from attrs import define, frozen

from adapters.sandbox.workers.prewarm_pool import Startable
from domain.identity import ANONYMOUS, Owner
from domain.scripts.language import Language

Process = TypeVar("Process", bound=Startable)


@frozen(cache_hash=True)
class SlotKind:
    """What a worker is made for; workers of one kind are interchangeable until they have run a script."""

    language: Language
    memory_mb: int

    @property
    def memory_bytes(self) -> int:
        """The memory limit of one worker, in bytes."""
        return self.memory_mb << 20


@frozen(cache_hash=True)
class SlotRequest:
    """What a call needs from the pool. `keeps` says whether its worker may stay warm for the session."""

    session: int
    """The session's id as an integer, which hashes faster than a UUID."""
    kind: SlotKind
    keeps: bool
    owner: Owner = ANONYMOUS


@define(eq=False)
class Slot(Generic[Process]):
    """A slot of one session, and the worker in it, if there is one."""

    request: SlotRequest
    memory_bytes: int
    """What it counts for in the pool's memory: its limit while it runs, its measured memory while it is idle."""
    is_running: bool = True
    process: Process | None = None
    script_hash: str | None = None
    runs: int = 0
    idle_since: float = 0.0
    useful_until: float = inf
    ended: bool = False
    """Whether its session has ended. Then the slot is removed after the run."""


@frozen
class PoolLimits:
    """Limits of a worker pool: slots in all and for each session, waiting calls, running executions, memory.

    Every owner has a fair share of `running_max`, and runs at most `owner_running_max` executions at once.
    `memory_bytes_max` limits the memory of all slots together. With None, only `slots_max` limits these.

    A start costs a hundred times as much as a warm execution. So a call waits `own_worker_wait_s` for a worker of its
    session before it evicts another session's, or adds one to the `session_quick_slots` of its own.
    """

    slots_max: int
    session_slots_max: int
    queue_length_max: int
    queue_timeout_s: float
    running_max: int | None = None
    owner_running_max: int | None = None
    memory_bytes_max: int | None = None
    own_worker_wait_s: float = 0.25
    session_quick_slots: int | None = None
