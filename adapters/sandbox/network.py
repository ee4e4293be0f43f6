"""Executions of scripts that may reach hosts: how their workers are connected, and what their reports say of it."""

import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import structlog
from attrs import evolve, frozen

from adapters.sandbox.equipment import Equipment, WorkerNetwork
from adapters.sandbox.runtime import LanguageRuntime
from adapters.sandbox.workers.process import WorkerProcess
from domain.egress.ports import WayOut
from domain.egress.rule import EgressRule, is_covered
from domain.egress.traffic import ExecutionTraffic
from domain.errors import Overloaded, RuntimeUnavailable
from domain.identity import ANONYMOUS, Owner
from domain.scripts.ports import ScriptRun
from domain.scripts.report import ScriptReport

_UNLIMITED_CONNECTIONS_MAX = 4
"""Where the kernel's memory for a connection cannot be limited."""
_PLAIN = Equipment()
_TRIAL = EgressRule("trial.invalid", 443)
_NOT_FOUND = re.compile(
    r"name or service not known|name resolution|ENOTFOUND|EAI_AGAIN|connection refused|ECONNREFUSED"
    r"|network is unreachable|ENETUNREACH|getaddrinfo",
    re.IGNORECASE,
)
_UNTRUSTED = re.compile(
    r"self-signed certificate|unable to get (?:local )?issuer|unable to verify the first certificate"
)

_log = structlog.get_logger(__name__)


@frozen
class Networks:
    """Starts workers with a network. `roots` are the certificates that their scripts trust; `way_out` connects them.

    An execution has at most `connections_max` connections open at once.
    """

    way_out: WayOut
    roots: Path | None = None
    connections_max: int = 16
    ceilings: Sequence[EgressRule] | None = None
    """What this host connects at most; None stands for any host."""

    async def start(  # noqa: PLR0913, PLR0917  # what a worker has
        self,
        runtime: LanguageRuntime,
        rules: tuple[EgressRule, ...],
        memory_mb: int,
        owner: Owner,
        equipment: Equipment = _PLAIN,
        files_mb: int = 0,
    ) -> WorkerProcess:
        """Return a worker that can reach the hosts of these rules; raises RuntimeUnavailable and Overloaded."""
        beyond = [] if self.ceilings is None else [rule for rule in rules if not is_covered(rule, self.ceilings)]
        if beyond:
            raise runtime.unavailable(f"EGRESS_RULES of their host do not cover {beyond[0]}. Add the rule there.")
        network = network_of(rules)
        equipment = evolve(equipment, roots=self.roots)
        worker = await runtime.start_equipped(equipment, network, memory_mb, owner, files_mb)
        assert worker.listeners is not None
        unlimited_max = min(self.connections_max, _UNLIMITED_CONNECTIONS_MAX)
        connections_max = self.connections_max if worker.listeners.has_limits else unlimited_max
        hosts = {address: name for name, address in network.addresses().items()}
        try:
            worker.lease = await self.way_out.admit(worker.listeners.take(), hosts, connections_max, owner)
        except BaseException:
            worker.kill()
            raise
        if not worker.is_alive:
            worker.lease.close()
        return worker

    async def try_out(self, runtime: LanguageRuntime, memory_mb: int) -> None:
        """Start a worker with a network, and end it; log why that is not possible."""
        try:
            worker = await evolve(self, ceilings=None).start(runtime, (_TRIAL,), memory_mb, ANONYMOUS)
        except (RuntimeUnavailable, Overloaded) as error:
            _log.warning("network_unavailable", language=runtime.language, reason=error.message)
            return
        worker.kill()
        await worker.gone()


def network_of(rules: tuple[EgressRule, ...]) -> WorkerNetwork:
    """Return the network of a worker with these rules: each name once, and each port; patterns need a proxy."""
    exact = [rule for rule in rules if not rule.is_pattern]
    names, ports = dict.fromkeys(rule.name for rule in exact), dict.fromkeys(rule.port for rule in exact)
    with_tls = {rule.name for rule in exact if not rule.is_raw}
    direct = [name for name in names if name not in with_tls]
    return WorkerNetwork(list(names), list(ports), has_proxy=len(exact) < len(rules), direct=direct)


async def connected(
    worker: WorkerProcess, run: ScriptRun, execute: Callable[[], Awaitable[ScriptReport]]
) -> ScriptReport:
    """Execute a run whose connections are made until its end; raises RuntimeUnavailable if nothing was started."""
    lease = worker.lease
    assert lease is not None
    try:
        await lease.begin(run.execution_id, run.network, run.guarded)
    except BaseException:
        worker.kill()
        raise
    try:
        report = await execute()
    finally:
        traffic = await lease.end()
    if lease.is_lost:
        worker.kill()
        await worker.gone()
    return explained(evolve(report, traffic=traffic), run.network, traffic)


def explained(report: ScriptReport, rules: tuple[EgressRule, ...], traffic: ExecutionTraffic) -> ScriptReport:
    """Add to a failure what its script cannot know: clients of networks tell it only that a connection ended."""
    failure = report.failure
    if failure is None:
        return report
    if traffic.is_lost:
        hint = "The process that connects scripts ended during the execution."
    elif traffic.last_refusal is not None:
        hint = f"The last connection that was refused: {traffic.last_refusal}."
    elif _NOT_FOUND.search(failure.message):
        hint = f"The script may reach only {', '.join(map(str, rules))} (network.allow)."
    elif _UNTRUSTED.search(failure.message):
        hint = "The host's certificate is from no authority that the script trusts: by default those in EGRESS_CA_FILE."
    else:
        return report
    # An ellipsis stays: it shows where a limit has cut the message.
    return evolve(report, failure=evolve(failure, message=f"{failure.message.removesuffix('.')}. {hint}"))
