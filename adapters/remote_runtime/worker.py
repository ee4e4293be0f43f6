"""A place for one run on runtime hosts."""

import asyncio
from collections.abc import Sequence

from attrs import define, field
from typing_extensions import override

from adapters.remote_runtime.host import RemoteHost
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.replies import RunRefused, ScriptNeeded
from adapters.remote_runtime.run_limiter import RunLimiter
from domain.errors import RuntimeUnavailable
from domain.scripts.ports import ScriptRun, Worker
from domain.scripts.report import ScriptReport
from domain.scripts.script import Script

_SENDS_MAX = 2
"""To one host: once by hash, and once with the source if the host has lost it."""


@define(eq=False)
class HttpWorker(Worker):
    """Runs on the first of `hosts` that takes the run; only what a host has surely not started goes to the next."""

    _call: ScriptRun
    _hosts: Sequence[RemoteHost]
    _script: Script | None
    _places: RunLimiter
    _options: RuntimeOptions
    _waited_ms: float
    _released: bool = field(default=False, init=False)

    @override
    async def run(self) -> ScriptReport:
        now = asyncio.get_running_loop().time
        ends_at = now() + self._call.limits.timeout_ms / 1000 + self._options.runtime_timeout_s
        refusals = []
        for host in self._hosts:
            if now() >= ends_at:
                refusals.append("the time is over")
                break
            try:
                return await self._run_on(host, ends_at)
            except RunRefused as refusal:
                refusals.append(f"{host.name}: {refusal}")
        raise RuntimeUnavailable(self._call.language, "; ".join(refusals))

    @override
    async def release(self) -> None:
        if not self._released:
            self._released = True
            self._places.give_back()

    async def _run_on(self, host: RemoteHost, ends_at: float) -> ScriptReport:
        for _ in range(_SENDS_MAX):
            script = await self._script_for(host)
            try:
                return await host.execute(self._call, script, ends_at, self._waited_ms)
            except ScriptNeeded:
                continue
        raise RunRefused("it asks for a script that it was sent")

    async def _script_for(self, host: RemoteHost) -> Script | None:
        if host.holds(self._call.script_hash):
            return None
        if self._script is None:
            self._script = await self._call.source()
        return self._script
