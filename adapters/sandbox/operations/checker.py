"""Parses scripts in sandboxed processes that never run them."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable

from attrs import define, field

from adapters.sandbox.operations.answers import FaultTold, read_answer
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.workers.exchange import Ending
from adapters.sandbox.workers.frames import ProtocolBroken, encode_frame
from adapters.sandbox.workers.process import WorkerProcess
from domain.errors import Overloaded
from domain.identity import Owner
from domain.script import Script, SyntaxFault

QUEUE = "the syntax check"
TOO_HARD = SyntaxFault("too large or too deep to check")


@define(eq=False)
class Checker:
    """One process that parses one script at a time; replaced after a crash, a timeout, or enough checks."""

    start: Callable[[], Awaitable[WorkerProcess]]
    options: SandboxOptions
    _turn: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _process: WorkerProcess | None = field(default=None, init=False)
    _checks: int = field(default=0, init=False)

    async def check(self, source: bytes) -> SyntaxFault | None:
        """Return why the script does not parse, None when it does.

        Raises LaunchFailed when there is no process to be had.
        """
        async with self._turn:
            process = await self._ready()
            nonce = secrets.token_hex(12)
            operation = encode_frame(b'{"op":"check","nonce":"%s"}' % nonce.encode(), source)
            exchange = await process.exchange(operation, self.options.check_timeout_s)
            if exchange.ending is not Ending.ANSWERED or exchange.frame is None:
                return TOO_HARD
            try:
                return _fault(read_answer(exchange.frame, nonce).fault)
            except ProtocolBroken:
                process.kill()
                return TOO_HARD

    async def _ready(self) -> WorkerProcess:
        process = self._process
        if process is None or not process.is_alive or self._checks >= self.options.checks_per_checker_max:
            if process is not None:
                process.kill()
            self._process = process = await self.start()
            self._checks = 0
        self._checks += 1
        return process


def _fault(told: FaultTold | None) -> SyntaxFault | None:
    return None if told is None else SyntaxFault(told.message.replace("\0", "\ufffd"), told.line, told.column)


@define(eq=False)
class CheckDesk:
    """The checkers of one language: one for ordinary scripts, one that large ones keep to themselves."""

    ordinary: Checker
    large: Checker
    options: SandboxOptions
    _waiting: Counter[Owner] = field(factory=Counter, init=False)

    async def check(self, script: Script, owner: Owner) -> SyntaxFault | None:
        """Return why the script does not parse; raises Overloaded and LaunchFailed."""
        options = self.options
        if self._waiting[owner] >= options.checks_queued_per_owner_max:
            raise Overloaded(QUEUE)
        if self._waiting.total() >= options.checks_queued_max:
            raise Overloaded(QUEUE)
        self._waiting[owner] += 1
        try:
            return await self._check(script.source.encode())
        finally:
            self._waiting[owner] -= 1
            self._waiting += Counter()

    async def _check(self, source: bytes) -> SyntaxFault | None:
        checker = self.large if len(source) > self.options.large_script_size else self.ordinary
        try:
            async with asyncio.timeout(self.options.queue_timeout_s + self.options.check_timeout_s):
                return await checker.check(source)
        except TimeoutError:
            raise Overloaded(QUEUE) from None
