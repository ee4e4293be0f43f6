"""What an owner wants of a schedule: what it executes, when and how."""

from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from attrs import evolve, field, frozen
from attrs.validators import ge, le, min_len

from domain.json_text import JsonText
from domain.queue.entry import EXPIRES_IN_DEFAULT, AcceptOptions
from domain.schedules.timing import JITTER_MAX_S, Timing

NAME_SIZE_MAX = 100
PARAMS_SIZE_MAX = 65_536


class CatchUp(StrEnum):
    """What becomes of due times that no process has settled in time."""

    SKIP = "skip"
    ONCE = "once"
    ALL = "all"


class Overlap(StrEnum):
    """What becomes of a due time while the execution before is queued or running."""

    SKIP = "skip"
    QUEUE = "queue"
    ALLOW = "allow"


@frozen
class SessionTarget:
    """The session that a schedule executes."""

    session_id: UUID


@frozen
class FunctionTarget:
    """The function that a schedule calls by name, which may have a version: `python-adder@3`."""

    name: str = field(validator=[min_len(1)])


Target = SessionTarget | FunctionTarget


@frozen
class SchedulePlan:
    """What its owner wants of a schedule.

    `expires_in` and `options` are those of each execution; `in_order` follows from `overlap`.
    """

    name: str
    target: Target
    timing: Timing
    params: JsonText = field(repr=False)
    jitter_s: int = field(default=0, validator=[ge(0), le(JITTER_MAX_S)])
    catch_up: CatchUp = CatchUp.ONCE
    overlap: Overlap = Overlap.SKIP
    expires_in: timedelta = EXPIRES_IN_DEFAULT
    options: AcceptOptions = field(factory=AcceptOptions)

    @property
    def accept_options(self) -> AcceptOptions:
        """The options of each execution: with `queue` they run one after the other."""
        return evolve(self.options, in_order=self.overlap is Overlap.QUEUE)

    def is_timed_unlike(self, other: "SchedulePlan") -> bool:
        """Return whether the due times are not those of the other plan."""
        return (self.timing, self.jitter_s) != (other.timing, other.jitter_s)
