"""What becomes known of a request as a part of a trace."""

from collections.abc import Mapping
from typing import Protocol

from domain.scripts.ports import ScriptRun
from domain.scripts.report import ScriptReport
from entrypoints.telemetry.tracing.traceparent import TraceContext


class ExecutionSpan(Protocol):
    """An execution under way."""

    def ended(self, report: ScriptReport) -> None:
        """Take note of its end."""
        ...

    def failed(self, code: str) -> None:
        """Take note that it was not started, or that nobody knows its end."""
        ...


class Trace(Protocol):
    """A request's place in a trace, from its head to its answer."""

    @property
    def context(self) -> TraceContext:
        """The place itself; its span id is this request's own."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """What a call on behalf of this request carries, now."""
        ...

    def waited(self, name: str, duration_s: float) -> None:
        """Take note of a wait for the database that has just ended."""
        ...

    def executing(self, run: ScriptRun) -> ExecutionSpan:
        """Take note that an execution begins."""
        ...


class Tracing(Protocol):
    """Begins and ends the traces of requests."""

    def begin(self, parent: bytes | None, state: bytes | None, method: str) -> Trace | None:
        """Return the request's place under its caller's, from the headers that it came with.

        None when neither the caller nor an operator wants to trace it.
        """
        ...

    def end(self, trace: Trace, route: str | None, status: int) -> None:
        """Take note of the answer."""
        ...

    def close(self) -> None:
        """Send what has not been sent yet, within a bounded time."""
        ...
