"""What a script tells while it runs: its output, and its progress."""

from typing import Protocol

from attrs import field, frozen

OUTPUT_SIZE_MAX = 256 * 1024
"""Bytes of stdout, and of stderr, that a report has."""

PROGRESS_MESSAGE_LENGTH_MAX = 200
"""Characters of the message of a progress."""


def _require_share(_progress: object, _attribute: object, value: float | None) -> None:
    if value is not None and not 0 <= value <= 1:
        raise ValueError("the value of a progress must be from 0 to 1")


def _require_short(_progress: object, _attribute: object, message: str) -> None:
    if len(message) > PROGRESS_MESSAGE_LENGTH_MAX:
        raise ValueError(f"the message of a progress must have at most {PROGRESS_MESSAGE_LENGTH_MAX} characters")


@frozen
class ScriptProgress:
    """How far a script says it is: a share from 0 to 1, None if it does not know, and a message; raises ValueError."""

    value: float | None = field(default=None, validator=_require_share)
    message: str = field(default="", validator=_require_short)


class OutputListener(Protocol):
    """Receives what a script writes, while it runs.

    The pieces of a stream, one after another, are the bytes from which the report has its text. Calls come from the
    event loop of the runner, all of them before the report. They return at once and never raise.
    """

    def on_stdout(self, piece: bytes) -> None:
        """Take the next bytes of stdout."""
        ...

    def on_stderr(self, piece: bytes) -> None:
        """Take the next bytes of stderr. The report may lack the last ones, which a crashed interpreter has added."""
        ...

    def on_progress(self, progress: ScriptProgress) -> None:
        """Take the newest progress. A runner drops earlier ones if a script makes many of them."""
        ...
