"""Ports to the runners of scripts."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from attrs import field, frozen

from domain.egress.endpoints import NamedEndpoint
from domain.egress.rule import EgressRule
from domain.identity import Owner, SessionRef
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.environment import Environment
from domain.scripts.files import RunFiles
from domain.scripts.language import Language
from domain.scripts.limits import Limits
from domain.scripts.output import OutputListener
from domain.scripts.report import ScriptReport
from domain.scripts.script import InputForm, Script
from domain.scripts.syntax import Syntax


@frozen
class RunState:
    """The state of the session, as the script finds it.

    If it `is_shared`, the script cannot write it. `saves_failures` keeps what a script has written before its error.
    If it `is_repl`, its keys are the names at the top level of the script, as far as JSON can give back their values.
    """

    text: JsonText = field(repr=False)
    version: int = 0
    is_shared: bool = False
    saves_failures: bool = False
    is_repl: bool = False


@frozen
class ScriptRun:
    """A run of a script, to be made.

    It has no instants, because a runner has no clock that agrees with the database's. `session_left` is the time until
    the session expires, from the creation of this object. `source` is called only if no worker has the script yet; it
    raises what reading the script raises. The runs of one session have one `convention`. `listener` receives the output
    while the script runs. A script with a `state` finds it in its event.
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
    convention: Convention = Convention.OWN
    listener: OutputListener | None = field(default=None, repr=False, eq=False)
    state: RunState | None = None
    syntax: Syntax | None = None
    """None is that of the language. The runs of one session have the same one."""

    environment: Environment | None = None
    """The packages that the script may import; None has none. The runs of one session have the same one."""

    network: tuple[EgressRule, ...] = ()
    """The hosts that the script may reach; none without rules. The runs of one session have equal ones."""

    guarded: tuple[NamedEndpoint, ...] = field(default=(), repr=False)
    """What belongs to the service, and is refused whatever the rules are: at the ports of the rules, as it is now."""

    secrets: Mapping[str, str] = field(factory=dict, repr=False)
    """The values of secrets by their names, which the script finds in the module pglambda."""

    files: RunFiles | None = None
    """The files that the script finds, and where those go that it leaves; None gives it no folder /files."""


class Worker(Protocol):
    """A worker that was acquired for one run."""

    async def run(self) -> ScriptReport:
        """Run the script to its end, within its limits, and return its report, also of a failure.

        The script is called by `run.convention`. A runner that does not know it raises RuntimeUnavailable; so does
        `acquire` of one that does not know `run.syntax` in its language.
        Called at most once. User code never runs twice. Raises ExecutionUnknown if the script may have started and its
        end is unknown. Any other DomainError (RuntimeUnavailable, Overloaded, what reading a given file raises, what
        `run.source` raises if a runtime has lost the script) means that nothing was started.
        """
        ...

    async def stop(self) -> bool:
        """Stop the script for good; return whether it stops.

        Then `run` returns a report with the failure EXECUTION_CANCELLED, the output so far and what was measured. A
        worker that was stopped before its `run` starts nothing, and reports the same failure. Further calls, and calls
        after the end of the script, change nothing. False means that the runtime cannot be told, or cannot stop
        scripts; then the script continues to its end or to its limit.
        """
        ...

    async def release(self) -> None:
        """Release the worker; also valid without a `run`, and again."""
        ...


class ScriptRunner(Protocol):
    """Runs scripts of some languages in sandboxes. The server's settings bound all waits."""

    async def acquire(self, run: ScriptRun) -> Worker:
        """Wait for a worker; a cancelled call leaves the queue, and nothing was started.

        Raises Overloaded if the queue is full or the wait too long, RuntimeUnavailable if the language cannot run now,
        and what `run.source` raises.
        """
        ...

    async def check(
        self,
        language: Language,
        script: Script,
        owner: Owner,
        convention: Convention = Convention.OWN,
        syntax: Syntax | None = None,
    ) -> InputForm | None:
        """Parse the script without running it, and return its form; None if the runtime cannot parse this language.

        What parses under one calling convention may not parse under another one, nor in another syntax. A runner that
        does not know the syntax in the language raises RuntimeUnavailable. `syntax` is what the caller asks for: the
        form MODULE says that the script is a module, to be run in `Syntax.of_module(syntax)`.

        Raises ScriptSyntaxError, RuntimeUnavailable or Overloaded.
        """
        ...

    async def evict(self, session_id: UUID) -> None:
        """End the idle workers of a session that has ended; running executions end by themselves."""
        ...

    async def health(self) -> Mapping[str, object]:
        """Return facts about the runtime for operators, within a second; `status` is "ok", "degraded" or "failing"."""
        ...
