"""Parses scripts in a sandboxed process that never runs them."""

import secrets
from collections.abc import Awaitable, Callable

from attrs import define, field, frozen

from adapters.sandbox.options import MIB, SandboxOptions
from adapters.sandbox.protocol.execution import ReportedFault, read_reply
from adapters.sandbox.workers.channel import Ending, ProtocolBroken, encode_frame
from adapters.sandbox.workers.process import Exchange, WorkerProcess
from domain.scripts.script import SyntaxFault

TOO_HARD = SyntaxFault("too large or too deep to check")
_MEMORY_SHARE = 0.5


@frozen
class SyntaxCheckResult:
    """Why a script does not parse, None if it does; the CPU time of the check, and how it ended.

    A check that was `TIMED_OUT` says nothing about the script: the processors were too busy for it.
    """

    fault: SyntaxFault | None
    cpu_s: float
    ending: Ending = Ending.REPLIED


@define(eq=False)
class SyntaxChecker:
    """One process that parses one script at a time.

    It is replaced after a crash, a check over a limit, a check that took much memory (and left less for the next), and
    after a number of checks.
    """

    start: Callable[[], Awaitable[WorkerProcess]]
    options: SandboxOptions
    _process: WorkerProcess | None = field(default=None, init=False)
    _checks: int = field(default=0, init=False)

    @property
    def is_warm(self) -> bool:
        """Whether the next check needs no new process."""
        return self._process is not None and self._process.is_alive

    async def check(self, source: bytes, cpu_s_max: float) -> SyntaxCheckResult:
        """Parse a script within this CPU time; raises LaunchFailed."""
        process = await self._ready()
        nonce = secrets.token_hex(12)
        operation = encode_frame(b'{"op":"check","nonce":"%s"}' % nonce.encode(), source)
        exchange = await process.exchange(operation, self.options.check_timeout_s, cpu_s_max)
        cpu_s = exchange.elapsed_s if exchange.cpu_s is None else exchange.cpu_s
        if (exchange.footprint.memory_bytes or 0) > _MEMORY_SHARE * self.options.check_memory_mb * MIB:
            process.kill()
        try:
            return SyntaxCheckResult(_fault(exchange, nonce), cpu_s, exchange.ending)
        except ProtocolBroken:
            process.kill()
            return SyntaxCheckResult(TOO_HARD, cpu_s, Ending.PROTOCOL_BROKEN)

    async def _ready(self) -> WorkerProcess:
        process = self._process
        if process is None or not process.is_alive or self._checks >= self.options.checks_per_checker_max:
            if process is not None:
                process.kill()
            self._process = process = await self.start()
            self._checks = 0
        self._checks += 1
        return process


def _fault(exchange: Exchange, nonce: str) -> SyntaxFault | None:
    """Return why the script does not parse, None if it does; raises ProtocolBroken."""
    if exchange.ending is not Ending.REPLIED or exchange.frame is None:
        return TOO_HARD
    fault: ReportedFault | None = read_reply(exchange.frame, nonce).fault
    return None if fault is None else SyntaxFault(fault.message.replace("\0", "\ufffd"), fault.line, fault.column)
