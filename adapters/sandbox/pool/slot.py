"""Slots of a worker pool: each belongs to one session and holds at most one worker."""

from math import inf
from typing import Generic, TypeVar

from attrs import define, frozen

from adapters.sandbox.workers.prewarm_pool import Startable
from domain.identity import Owner
from domain.scripts.language import Language
from domain.scripts.limits import Isolation
from domain.scripts.ports import ScriptRun

Process = TypeVar("Process", bound=Startable)


@define(eq=False)
class Slot(Generic[Process]):
    """A slot of one session, and the worker in it, if there is one."""

    session: int
    """The session's id as an integer, which hashes faster than a UUID."""
    owner: Owner
    language: Language
    memory_mb: int
    """The memory limit of its worker."""
    stays_warm: bool
    """Whether its worker may run again for the session."""
    memory_bytes: int = 0
    """What it counts for in the pool's memory: its limit while it runs, its measured memory while it is idle."""
    is_running: bool = False
    process: Process | None = None
    script_hash: str | None = None
    runs: int = 0
    idle_since: float = 0.0
    useful_until: float = inf
    has_ended: bool = False
    """Whether its session has ended. Then the slot is removed after the run."""

    @classmethod
    def of(cls, run: ScriptRun) -> "Slot[Process]":
        """Return an empty slot for the session of this run."""
        stays_warm = run.limits.isolation is Isolation.SESSION
        return cls(run.ref.session_id.int, run.ref.owner, run.language, run.limits.memory_mb, stays_warm)

    def suits(self, run: ScriptRun) -> bool:
        """Return whether its worker, when it is free, can execute this run of its session."""
        return (
            self.stays_warm
            and run.language is self.language
            and run.limits.memory_mb == self.memory_mb
            and run.limits.isolation is Isolation.SESSION
        )


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
