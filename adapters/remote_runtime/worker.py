"""A run on the first of its hosts that accepts it."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog
from attrs import define, field
from typing_extensions import override

from adapters.remote_runtime.host import RemoteHost
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.replies import HostFull, RunRefused, ScriptNeeded, TreeNeeded
from adapters.remote_runtime.turns import HostTurn
from domain.environments.ports import TreeStore
from domain.errors import DomainError, Overloaded, RuntimeUnavailable
from domain.scripts.files import FILES_S
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRun, Worker
from domain.scripts.report import ScriptReport, cancelled_report
from domain.scripts.script import Script

_HOST = "the runtime host"
_NO_TIME = "no time is left for it"
_READABLE = (
    "secrets are sent to it only by https, because its address is not on loopback. Have the operator give the host a "
    "certificate, and set RUNTIME_CA_FILE"
)
_SENDS_MAX = 2
"""To one host: by the script's hash, and once more with the source if the host has lost the script. One that lacks the
packages gets the run again after them."""

_log = structlog.get_logger(__name__)


class HostChooser(Protocol):
    """Knows the hosts of a run, and the packages that hosts may need."""

    @property
    def trees(self) -> TreeStore | None:
        """The packages of environments; None without a database of them."""
        ...

    def hosts_for(self, run: ScriptRun) -> Sequence[RemoteHost]:
        """Return the hosts to try, in order."""
        ...

    def ran(self, run: ScriptRun, host: RemoteHost) -> None:
        """Remember the host that ran a session last."""
        ...


@define(eq=False)
class Refusals:
    """Why hosts started nothing."""

    _reasons: list[str] = field(factory=list)
    by_host: list[Mapping[str, object]] = field(factory=list, init=False)
    """What the log says: callers do not see the names of hosts."""
    are_final: bool = field(default=False, init=False)
    """Whether one of the hosts still takes runs. If none does, another host or a later one may start the run."""
    _is_overload: bool = field(default=False, init=False)

    def add(self, host: RemoteHost, refusal: RunRefused) -> None:
        """Keep the reason of a host."""
        self._reasons.append(f"{host.name}: {refusal}")
        self.by_host.append({**host.log_fields, "reason": str(refusal)})
        self.are_final = self.are_final or host.state.takes_runs(time.monotonic())
        self._is_overload = self._is_overload or isinstance(refusal, HostFull)

    def error(self, language: Language) -> DomainError:
        """Return what the caller gets: Overloaded if one of the hosts has only too much to do."""
        return Overloaded(_HOST) if self._is_overload else RuntimeUnavailable(language, "; ".join(self._reasons))


@define(eq=False)
class RemoteWorker(Worker):
    """Runs on the first host that accepts the run; the next one gets it only if nothing was started.

    If its hosts take no runs any more, the run waits for one that does, as it did for its turn.
    """

    _runner: HostChooser
    _run: ScriptRun
    _script: Script | None
    _turn: HostTurn
    _options: RuntimeOptions
    _waited_ms: float
    _host: RemoteHost | None = field(default=None, init=False)
    """The one that was sent the run last."""
    _stopped: bool = field(default=False, init=False)

    @override
    async def run(self) -> ScriptReport:
        transfers_s = 0.0 if self._run.files is None else FILES_S
        ends_at = _now() + self._run.limits.timeout_ms / 1000 + self._options.runtime_timeout_s + transfers_s
        while True:
            refusals = Refusals()
            for host in self._runner.hosts_for(self._run):
                try:
                    return await self._run_on(host, ends_at)
                except RunRefused as refusal:
                    refusals.add(host, refusal)
            self._host = None
            _log.info("execution_refused", execution_id=self._run.execution_id, refusals=refusals.by_host)
            if refusals.are_final:
                raise refusals.error(self._run.language)
            await self._wait_for_host()
            if self._stopped:
                return cancelled_report(self._waited_ms)

    async def _wait_for_host(self) -> None:
        began_at = time.monotonic()
        try:
            await self._turn.retake()
        except DomainError:
            if not self._stopped:
                raise
        self._waited_ms += (time.monotonic() - began_at) * 1000

    @override
    async def stop(self) -> bool:
        self._stopped = True
        return self._host is None or await self._host.cancel(self._run.execution_id)

    @override
    async def release(self) -> None:
        self._turn.release()

    async def _run_on(self, host: RemoteHost, ends_at: float) -> ScriptReport:
        if _now() >= ends_at:
            raise RunRefused(_NO_TIME)
        if self._run.secrets and not host.connection.is_private:
            raise RunRefused(_READABLE)
        sends_left, lacks_tree = _SENDS_MAX, False
        while sends_left:
            sends_left -= 1
            script = await self._script_for(host)
            if self._stopped:
                return cancelled_report(self._waited_ms)
            self._host = host
            try:
                report = await host.execute(self._run, script, ends_at, self._waited_ms)
            except ScriptNeeded:
                continue
            except TreeNeeded:
                if lacks_tree or self._run.environment is None:
                    break
                lacks_tree, sends_left = True, sends_left + 1
                await host.trees.send(self._run.environment.digest, self._runner.trees, ends_at)
                continue
            self._runner.ran(self._run, host)
            return report
        raise RunRefused("it asks again for the script's source or for packages, which it was sent")

    async def _script_for(self, host: RemoteHost) -> Script | None:
        if host.has_script(self._run.script_hash):
            return None
        if self._script is None:
            self._script = await self._run.source()
        return self._script


def _now() -> float:
    return asyncio.get_running_loop().time()
