"""Examines scripts in sandboxed processes that never run them."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
from attrs import define, field
from typing_extensions import override

from adapters.sandbox.options import KIB, SandboxOptions
from adapters.sandbox.protocol.execution import read_reply
from adapters.sandbox.protocol.replies import ReportedFinding
from adapters.sandbox.workers.channel import Ending, ProtocolBroken, encode_frame
from adapters.sandbox.workers.process import Exchange, WorkerProcess
from domain.scripts.examination import ScriptExaminer, ScriptFinding
from domain.scripts.language import Language

_BATCH_MAX = 16
"""The findings of so many scripts fit into the header of a reply."""
_BATCH_SIZE_MAX = 256 * KIB
_FINDINGS_MAX = 50


@define(eq=False)
class SandboxScriptExaminer(ScriptExaminer):
    """Examines batches of scripts, one batch of a language at a time. A process that fails is replaced.

    The scripts of a batch that fails are examined one by one.
    """

    start: Callable[[Language], Awaitable[WorkerProcess]]
    """Starts a process that may examine scripts of a language; raises RuntimeUnavailable."""
    options: SandboxOptions
    _processes: dict[Language, WorkerProcess] = field(factory=dict, init=False)
    _locks: Mapping[Language, asyncio.Lock] = field(
        factory=lambda: {each: asyncio.Lock() for each in Language}, init=False
    )

    @override
    async def examine(self, language: Language, sources: Sequence[str]) -> Sequence[Sequence[ScriptFinding] | None]:
        findings: list[Sequence[ScriptFinding] | None] = []
        batch_max = _BATCH_MAX
        while len(findings) < len(sources):
            batch = _batch(sources[len(findings) :], batch_max)
            async with self._locks[language]:
                found = await self._examined(language, batch)
            # A batch fails with one of its scripts, so each of them is then examined alone.
            if found is None and len(batch) > 1:
                batch_max = 1
                continue
            findings += [None] if found is None else found
        return findings

    def close(self) -> None:
        """End the processes."""
        for process in self._processes.values():
            process.kill()

    async def _examined(self, language: Language, batch: Sequence[str]) -> Sequence[Sequence[ScriptFinding]] | None:
        """Return the findings of the first scripts of the batch; None if the exchange failed."""
        process = self._processes.get(language)
        if process is None or not process.is_alive:
            process = self._processes[language] = await self.start(language)
        nonce = secrets.token_hex(12)
        header = b'{"op":"examine","nonce":"%s","cpu_s":%r}' % (nonce.encode(), self.options.check_cpu_s)
        timeout_s = self.options.check_timeout_s
        exchange = await process.exchange(encode_frame(header, msgspec.json.encode(batch)), timeout_s, timeout_s)
        try:
            return _findings(exchange, nonce, len(batch))
        except ProtocolBroken:
            process.kill()
            return None


def _batch(sources: Sequence[str], batch_max: int) -> Sequence[str]:
    """Return the first script, and those behind it that fit into one batch."""
    size, count = 0, 0
    for source in sources[:batch_max]:
        size += len(source)
        if count and size > _BATCH_SIZE_MAX:
            break
        count += 1
    return sources[:count]


def _findings(exchange: Exchange, nonce: str, scripts: int) -> Sequence[Sequence[ScriptFinding]]:
    """Return the findings of a reply; raises ProtocolBroken without one."""
    if exchange.ending is not Ending.REPLIED or exchange.frame is None:
        raise ProtocolBroken("no reply")
    found = read_reply(exchange.frame, nonce).findings
    if not 1 <= len(found) <= scripts:
        raise ProtocolBroken("a reply with the findings of too many scripts, or of none")
    return [[_finding(each) for each in findings[:_FINDINGS_MAX]] for findings in found]


def _finding(reported: ReportedFinding) -> ScriptFinding:
    code, line, text = reported
    return ScriptFinding(code, line, text.replace("\0", "\ufffd"))
