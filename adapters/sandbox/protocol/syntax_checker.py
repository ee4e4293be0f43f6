"""Parses scripts in a sandboxed process that never runs them."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Coroutine, Sequence
from typing import TypeAlias

import msgspec
from attrs import define, field, frozen

from adapters.sandbox.options import MIB, SandboxOptions
from adapters.sandbox.protocol.execution import read_reply
from adapters.sandbox.protocol.replies import ReportedFault, WorkerReply
from adapters.sandbox.workers.channel import Ending, Frame, ProtocolBroken, encode_frame
from adapters.sandbox.workers.process import WorkerProcess
from adapters.sandbox.zygote.launch import LaunchFailed
from domain.scripts.convention import Convention
from domain.scripts.script import InputForm, SyntaxFault
from domain.scripts.syntax import Syntax

CheckedScript: TypeAlias = str | tuple[str, Convention] | tuple[str, Convention, Syntax]
"""The source of a script, with its calling convention unless that is OWN, and its syntax if it has one."""

Verdict: TypeAlias = SyntaxFault | InputForm
"""Why a script does not parse, or its form."""

TOO_HARD = SyntaxFault("too large or too deep to check")
_MEMORY_SHARE = 0.5
_AHEAD_SHARE = 0.5
"""The share of its checks after which the next process starts: a start takes as long as some hundred checks."""


@frozen
class SyntaxCheckResult:
    """The verdicts on the first scripts, the time that they took, and how it ended.

    A reply has the verdict on at least one script, and no other ending has any. A check that was `TIMED_OUT` says
    nothing about the scripts: the processors were too busy for it.
    """

    verdicts: Sequence[Verdict]
    cpu_s: float
    elapsed_s: float = 0.0
    ending: Ending = Ending.REPLIED


@define(eq=False)
class SyntaxChecker:
    """One process that parses one batch of scripts at a time.

    It is replaced after a crash, a check over a limit, a check that took much memory (and left less for the next), and
    after a number of checks. After about 1,900 scripts V8 begins to collect the garbage of its parser, which takes 9 ms
    and more, and would count as a slow check. The next process starts ahead, so that no script waits for it.
    """

    start: Callable[[], Coroutine[None, None, WorkerProcess]]
    options: SandboxOptions
    _process: WorkerProcess | None = field(default=None, init=False)
    _next: asyncio.Task[WorkerProcess] | None = field(default=None, init=False)
    _checks: int = field(default=0, init=False)

    async def check(self, scripts: Sequence[CheckedScript], cpu_s_max: float) -> SyntaxCheckResult:
        """Parse the first script, and those that begin within `check_batch_cpu_s`; raises LaunchFailed.

        The process ends if all together take more than `cpu_s_max` of CPU time.
        """
        process = await self._ready(len(scripts))
        nonce = secrets.token_hex(12)
        header = b'{"op":"check","nonce":"%s","cpu_s":%r}' % (nonce.encode(), self.options.check_batch_cpu_s)
        operation = encode_frame(header, msgspec.json.encode(scripts))
        exchange = await process.exchange(operation, self.options.check_timeout_s, cpu_s_max)
        cpu_s = exchange.elapsed_s if exchange.cpu_s is None else exchange.cpu_s
        if (exchange.memory_bytes or 0) > _MEMORY_SHARE * self.options.check_memory_mb * MIB:
            process.kill()
        verdicts: Sequence[Verdict] = ()
        ending = exchange.ending
        if ending is Ending.REPLIED:
            try:
                reply = _reply(exchange.frame, nonce, len(scripts))
                verdicts = _verdicts(reply)
                if reply.spent:
                    process.kill()
            except ProtocolBroken:
                process.kill()
                ending = Ending.PROTOCOL_BROKEN
        return SyntaxCheckResult(verdicts, cpu_s, exchange.elapsed_s, ending)

    async def close(self) -> None:
        """Start no process ahead any more."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.wait([self._next])

    async def _ready(self, checks: int) -> WorkerProcess:
        process, checks_max = self._process, self.options.checks_per_checker_max
        if process is None or not process.is_alive or self._checks >= checks_max:
            if process is not None:
                process.kill()
            self._process = process = await self._started()
            self._checks = 0
        self._checks += checks
        if self._checks >= _AHEAD_SHARE * checks_max and self._next is None:
            self._next = asyncio.get_running_loop().create_task(self.start())
        return process

    async def _started(self) -> WorkerProcess:
        """Return the process that was started ahead, or a new one; raises LaunchFailed."""
        ahead, self._next = self._next, None
        if ahead is not None:
            with contextlib.suppress(LaunchFailed):
                process = await ahead
                if process.is_alive:
                    return process
        return await self.start()


def _reply(frame: Frame | None, nonce: str, scripts: int) -> WorkerReply:
    """Return the reply to the check of so many scripts; raises ProtocolBroken."""
    reply = None if frame is None else read_reply(frame, nonce)
    if reply is None or not 1 <= len(reply.faults) <= scripts:
        raise ProtocolBroken("a reply with the faults of too many scripts, or of none")
    return reply


def _verdicts(reply: WorkerReply) -> tuple[Verdict, ...]:
    """Return the verdicts on the first scripts of the batch."""
    return tuple(_verdict(fault, place in reply.events_in_context) for place, fault in enumerate(reply.faults))


def _verdict(fault: ReportedFault | None, is_event_in_context: bool) -> Verdict:
    if fault is None:
        return InputForm.EVENT_IN_CONTEXT if is_event_in_context else InputForm.PLAIN
    return SyntaxFault(fault.message.replace("\0", "\ufffd"), fault.line, fault.column, fault.of_modules)
