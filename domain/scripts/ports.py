"""What runs scripts."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from attrs import field, frozen

from domain.identity import Owner, SessionRef
from domain.json_text import JsonText
from domain.scripts.language import Language
from domain.scripts.limits import Limits
from domain.scripts.report import ScriptReport
from domain.scripts.script import Script


@frozen
class ScriptRun:
    """One run to make.

    It holds no instants, because a runner has no clock that agrees with the database's: `session_left` is the time
    until the session expires, counted from the making of this run. `source` is asked for only when no worker holds the
    script yet; it raises what reading the script raises.
    """

    ref: SessionRef
    execution_id: UUID
    language: Language
    limits: Limits
    session_left: timedelta
    script_hash: str
    context: JsonText = field(repr=False)
    params: JsonText = field(repr=False)
    source: Callable[[], Awaitable[Script]] = field(repr=False, eq=False)


class Worker(Protocol):
    """A place that was given to one run."""

    async def run(self) -> ScriptReport:
        """Run the script to its end, by its own limits, and return what came out, failures included.

        Called at most once. User code never runs twice. Raises ExecutionUnknown when the script may have started and
        its end is not known; any other DomainError (RuntimeUnavailable, Overloaded, what `run.source` raises when a
        runtime has lost the script) says that nothing was started.
        """
        ...

    async def release(self) -> None:
        """Give the place back; safe after `run`, instead of it, and again."""
        ...


class ScriptRunner(Protocol):
    """Runs scripts of some languages in sandboxes. Waits are bounded by the server's settings."""

    async def acquire(self, run: ScriptRun) -> Worker:
        """Wait for a worker; cancelling the call leaves the queue, and nothing was started.

        Raises Overloaded when the queue is full or the wait too long, RuntimeUnavailable when the language cannot
        run now, and what `run.source` raises.
        """
        ...

    async def check(self, language: Language, script: Script, owner: Owner) -> bool:
        """Parse the script without running it; return whether it was parsed (a runtime may not be able to).

        Raises ScriptSyntaxError, RuntimeUnavailable or Overloaded.
        """
        ...

    async def evict(self, session_id: UUID) -> None:
        """Drop what is kept warm for a session that has ended; running executions end by themselves."""
        ...

    async def health(self) -> Mapping[str, object]:
        """Describe the runtime for people; `status` is "ok", "degraded" or "failing". Ends within a second."""
        ...
