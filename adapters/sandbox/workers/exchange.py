"""How an operation that was sent to a worker ended, and what was observed of it."""

from enum import Enum, auto

from attrs import field, frozen

from adapters.sandbox.workers.frames import Frame
from adapters.sandbox.workers.usage import Footprint


class Ending(Enum):
    """How an exchange with a worker ended."""

    REPLIED = auto()
    TIMED_OUT = auto()
    CPU_LIMIT = auto()
    OUTPUT_LIMIT = auto()
    PROTOCOL_BROKEN = auto()
    DIED = auto()


@frozen
class Death:
    """How a worker ended while an answer was awaited.

    `status` is its exit code, or the negative number of the signal; None when it has not left the process table.
    `script_bytes` is the most memory that it held at once beyond its interpreter's own, None where nobody knows.
    """

    status: int | None
    closed_channel: bool = False
    """It had closed its channel and went on, and the service killed it."""
    script_bytes: int | None = None
    memory_was_short: bool = False
    """In its lifetime the kernel has killed workers because all of them together had used up their memory."""


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
    death: Death | None = None
    """Of a worker that died."""
