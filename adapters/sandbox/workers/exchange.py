"""How an operation that was sent to a worker ended, and what was observed of it."""

from enum import Enum, auto

from attrs import field, frozen

from adapters.sandbox.workers.frames import Frame
from adapters.sandbox.workers.usage import Footprint


class Ending(Enum):
    """How an exchange with a worker ended."""

    ANSWERED = auto()
    TIMED_OUT = auto()
    CPU_LIMIT = auto()
    OUTPUT_LIMIT = auto()
    PROTOCOL_BROKEN = auto()
    DIED = auto()


@frozen
class Exchange:
    """The end of an exchange: the answer where there is one, else what was observed, and what was used."""

    ending: Ending
    frame: Frame | None = None
    observed: str = ""
    elapsed_s: float = 0.0
    cpu_before_s: float = 0.0
    """CPU time of the worker's life before."""
    cpu_s: float | None = None
    footprint: Footprint = field(factory=Footprint)
