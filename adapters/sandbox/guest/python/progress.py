"""The progress that a script reports while it runs."""

# ruff: noqa: D103  # functions of one program, which names explain

from __future__ import annotations

import threading
from time import monotonic

from .frames import encode_notice

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    from typing import Any

    from .frames import ServiceChannel

MESSAGE_LENGTH_MAX = 200
BURST_MAX = 20
RATE_MAX = 10.0
"""Notices in a second. Of more, the newest is sent with the next call, or at the end."""
TURN = threading.RLock()
"""Lets a handler of a signal report within a report."""


class ProgressReporter:
    """What scripts find as `progress`, for one execution. Threads that outlive it report nothing."""

    def __init__(self, channel: ServiceChannel, nonce: str) -> None:
        self._channel: ServiceChannel | None = channel
        self._nonce = nonce
        self._started_s: float | None = None
        self._count = 0
        self._unsent: bytes | None = None

    def report(self, value: float | None = None, message: str = "") -> None:
        """Tell those who follow the execution how far it is: a share from 0 to 1 or None, and a text."""
        notice = encode_notice({"nonce": self._nonce, "value": checked_value(value), "message": checked_text(message)})
        with TURN:
            self._unsent = notice
            if self._count < BURST_MAX + RATE_MAX * self._elapsed_s():
                self._count += 1
                self._send()

    def close(self) -> None:
        """Send what is unsent, and report nothing more."""
        with TURN:
            self._send()
            self._channel = None

    def _elapsed_s(self) -> float:
        now_s = monotonic()
        if self._started_s is None:
            self._started_s = now_s
        return now_s - self._started_s

    def _send(self) -> None:
        if self._unsent is not None and self._channel is not None:
            self._channel.write(self._unsent)
        self._unsent = None


def checked_value(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"progress: the value must be a number from 0 to 1 or None, and is a {type(value).__name__}")
    if not 0 <= value <= 1:
        raise ValueError(f"progress: the value must be from 0 to 1, and is {value!r}. Divide what is done by the total")
    return float(value)


def checked_text(message: Any) -> str:
    if not isinstance(message, str):
        raise TypeError(f"progress: the message must be a str, and is a {type(message).__name__}")
    if len(message) > MESSAGE_LENGTH_MAX:
        raise ValueError(
            f"progress: the message has {len(message)} characters, and may have {MESSAGE_LENGTH_MAX}. Shorten it"
        )
    return str(message)
