"""What the service needs of a PostgreSQL that it brings itself."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from signal import Signals
from typing import ClassVar, Protocol

READY_TIMEOUT_S = 300.0
"""Replaying the log after a crash takes its time; a server that takes longer than this is given up."""

FAST_STOP_TIMEOUT_S = 10.0
IMMEDIATE_STOP_TIMEOUT_S = 7.0
POLL_S = 0.02


class ServerFailed(Exception):
    """The database server does not run; the text says what to do about it."""


class DatabaseServer(Protocol):
    """A PostgreSQL server that lives as a child of this process."""

    fast_stop: ClassVar[Signals]
    immediate_stop: ClassVar[Signals]

    @property
    def exists(self) -> bool:
        """Whether there is a data folder, which `prepare` makes where there is none."""
        ...

    def prepare(self) -> None:
        """Get everything ready for a start, seconds long the first time; raises RuntimeError with an operator's text."""
        ...

    def start(self) -> "subprocess.Popen[bytes]":
        """Start the server, after `prepare`, from the main thread."""
        ...

    def is_ready(self) -> bool:
        """Tell whether the started server takes connections."""
        ...

    def forget(self) -> None:
        """Clear what only a running server needs."""
        ...

    @property
    def url(self) -> str:
        """Where the started server takes connections."""
        ...

    @property
    def log_tail(self) -> str:
        """The last that the server has written."""
        ...


@contextmanager
def running(server: DatabaseServer) -> Iterator[str]:
    """Run the server for the duration of a command and yield its URL; raises ServerFailed."""
    try:
        server.prepare()
    except RuntimeError as error:
        raise ServerFailed(str(error)) from error
    process = server.start()
    try:
        _await_ready(server, process)
        yield server.url
    finally:
        stop(server, process)


def failure(server: DatabaseServer, reason: str) -> str:
    """Return the reason and what the server wrote last."""
    return f"{reason} Its log ends with:\n{server.log_tail}"


def stop(server: DatabaseServer, process: "subprocess.Popen[bytes]") -> None:
    """Stop the server: fast, then at once, then by force."""
    for signal, timeout_s in (
        (server.fast_stop, FAST_STOP_TIMEOUT_S),
        (server.immediate_stop, IMMEDIATE_STOP_TIMEOUT_S),
        (Signals.SIGKILL, IMMEDIATE_STOP_TIMEOUT_S),
    ):
        process.send_signal(signal)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            continue
        break
    server.forget()


def _await_ready(server: DatabaseServer, process: "subprocess.Popen[bytes]") -> None:
    ends_at = time.monotonic() + READY_TIMEOUT_S
    while not server.is_ready():
        if process.poll() is not None:
            raise ServerFailed(failure(server, f"PostgreSQL ended with status {process.returncode}."))
        if time.monotonic() > ends_at:
            raise ServerFailed(failure(server, f"PostgreSQL was not ready in {READY_TIMEOUT_S:.0f} s."))
        time.sleep(POLL_S)
