"""The runner of each language: this host's sandbox, or runtime hosts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

from attrs import define, evolve, field

from adapters.egress.client import EgressClient
from adapters.origin.http import HttpOrigin, OriginClientOptions
from adapters.remote_runtime.inspection import certificate_facts, inspect_runtime_hosts
from adapters.remote_runtime.script_runner import HttpScriptRunner
from adapters.remote_runtime.verification import Verification
from adapters.sandbox.inspection import inspect_egress, inspect_sandbox
from adapters.sandbox.network import Networks
from adapters.sandbox.runner import SandboxScriptRunner
from domain.clock import Clock
from domain.egress.stats import EgressStats
from domain.host_facts import CertificateFacts, EgressFacts, OriginFacts, RuntimeHostFacts, SandboxFacts
from domain.hosts.host import RegisteredHost
from domain.scripts.examination import ScriptExaminer
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRunner
from domain.stats import RuntimeStreamStats, SandboxStats
from entrypoints.composition.egress import egress_client, networks_of, roots_of
from entrypoints.composition.host_options import runtime_options, sandbox_options
from entrypoints.composition.locking import missing_tools
from entrypoints.composition.selftest import connected_to
from entrypoints.http.endpoints.health import Probe
from entrypoints.origin.health import OriginHealth
from entrypoints.settings.egress import has_egress
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.metrics.front import FrontMetrics

_TRIAL_QUEUE_S = 10.0
CLOSE_GRACE_S = 2.0
"""For executions that still run when the service stops."""


@define(eq=False)
class Runners:
    """This host's sandbox for languages without runtime hosts, and the client of runtime hosts for the others."""

    sandbox: SandboxScriptRunner | None
    remote: HttpScriptRunner | None
    by_language: Mapping[Language, ScriptRunner] = field()
    egress: EgressClient | None = None
    """What connects scripts of this host's sandbox; None if they may reach no host."""
    _networks: Callable[[], Networks] | None = None

    @classmethod
    def of(cls, settings: Settings, more_headers: Callable[[], Mapping[str, str]] = dict) -> "Runners":
        """Choose by the settings of runtime hosts; calls to them have `more_headers`.

        Languages without a runtime URL run on hosts that register themselves if there may be any, else in the sandbox.
        """
        urls = {Language.NODEJS: settings.nodejs_runtime_url, Language.PYTHON: settings.python_runtime_url}
        remote_urls = {language: listed for language, listed in urls.items() if listed}
        others = tuple(language for language, listed in urls.items() if not listed)
        local, registering = ((), others) if settings.runtime_host_networks else (others, ())
        sandbox = SandboxScriptRunner(sandbox_options(settings, local)) if local else None
        egress = egress_client(settings, sandbox) if sandbox is not None and has_egress(settings) else None
        client = HttpScriptRunner(runtime_options(settings), remote_urls, more_headers, registering)
        remote = client if settings.has_runtime_hosts else None
        by_language = {language: sandbox if language in local else remote for language in urls}
        served = {language: runner for language, runner in by_language.items() if runner}
        networks = None if sandbox is None or egress is None else partial(networks_of, settings, sandbox, egress)
        return cls(sandbox, remote, served, egress, networks)

    @property
    def probes(self) -> Mapping[str, Probe]:
        """The health of each language, and of this host's sandbox without its languages."""
        languages = {f"runtimes.{language}": self._health_of(language) for language in self.by_language}
        egress = {} if self.egress is None else {"egress": self.egress.health}
        return {**languages, "sandbox": self._sandbox_health, **egress}

    @property
    def language_probes(self) -> Mapping[Language, Probe]:
        """Return whether each language can run now, without a request to runtime hosts: the queue asks each second."""
        return {language: self._readiness_of(language) for language in self.by_language}

    def _health_of(self, language: Language) -> Probe:
        sandbox, runner = self.sandbox, self.by_language[language]
        return runner.health if sandbox is None or runner is not sandbox else partial(sandbox.language_health, language)

    def _readiness_of(self, language: Language) -> Probe:
        remote = self.remote
        if remote is None or self.by_language[language] is not remote:
            return self._health_of(language)
        return partial(remote.readiness, language)

    async def _sandbox_health(self) -> Mapping[str, object]:
        if self.sandbox is None:
            reason = "scripts run on runtime hosts, which report their own sandbox"
            return {"status": "ok", "layers": {}, "reason": reason}
        return {name: fact for name, fact in (await self.sandbox.health()).items() if name != "languages"}

    def sandbox_stats(self) -> SandboxStats | None:
        """Return the numbers of this host's sandbox, if it has one."""
        return None if self.sandbox is None else self.sandbox.stats()

    def egress_stats(self) -> EgressStats:
        """Return the numbers of the connections of scripts."""
        return EgressStats() if self.egress is None else self.egress.stats

    def stream_stats(self) -> RuntimeStreamStats | None:
        """Return the numbers of the runtime hosts, if there may be any."""
        return None if self.remote is None else self.remote.stats()

    async def open(self) -> None:
        """Start the sandbox and the client of runtime hosts; a missing interpreter or host does not stop the start."""
        if self.sandbox is not None:
            if self._networks is not None:
                self.sandbox.networks = await asyncio.to_thread(self._networks)
            await self.sandbox.open()
        if self.remote is not None:
            await self.remote.open()

    async def close(self) -> None:
        """Close the client, and end every worker of this host."""
        if self.remote is not None:
            await self.remote.close()
        if self.sandbox is not None:
            await self.sandbox.close(CLOSE_GRACE_S)
        if self.egress is not None:
            await self.egress.close()


@asynccontextmanager
async def script_examiner(settings: Settings) -> AsyncIterator[ScriptExaminer]:
    """Open a sandbox on this host that examines scripts of every language, and close it at the end."""
    sandbox = SandboxScriptRunner(evolve(sandbox_options(settings, tuple(Language)), prewarmed=0))
    await sandbox.open()
    examiner = sandbox.examiner()
    try:
        yield examiner
    finally:
        examiner.close()
        await sandbox.close(CLOSE_GRACE_S)


@define(eq=False)
class HostInspector:
    """Inspects the runners of a controller with these settings; it opens and closes them each time."""

    _settings: Settings
    _wall_clock: Clock
    """By which certificates are judged, as OpenSSL does."""
    _starting: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    """One sandbox starts at a time: its checks are bounded in time."""

    async def sandbox(self) -> SandboxFacts | None:
        """Return the facts about this host's sandbox; None if every language runs on runtime hosts."""
        sandbox = Runners.of(self._settings).sandbox
        if sandbox is None:
            return None
        async with self._starting:
            return await inspect_sandbox(sandbox.options)

    async def egress(self) -> EgressFacts | None:
        """Return whether scripts of this host reach a host; None if none may, or all run on runtime hosts."""
        sandbox = Runners.of(self._settings).sandbox
        if sandbox is None or not has_egress(self._settings):
            return None
        roots = roots_of(self._settings)
        options = evolve(sandbox.options, prewarmed=0, queue_timeout_s=_TRIAL_QUEUE_S)
        async with self._starting:
            found = await inspect_egress(options, connected_to)
        return EgressFacts(found, None if roots is None else str(roots))

    async def missing_tools(self) -> Mapping[Language, str]:
        """Return why this host cannot install packages, for each language of which it cannot."""
        return await asyncio.to_thread(missing_tools, self._settings)

    async def origin(self) -> OriginFacts | None:
        """Return how the origin responds; None without ORIGIN_URL."""
        url = self._settings.origin_url
        if url is None:
            return None
        origin = HttpOrigin(OriginClientOptions(url))
        try:
            return OriginFacts(url, await OriginHealth(url, origin, FrontMetrics()).reason())
        finally:
            await origin.close()

    async def runtime_hosts(self) -> Sequence[RuntimeHostFacts]:
        """Return the facts about each runtime host."""
        remote = Runners.of(self._settings).remote
        return [] if remote is None else await inspect_runtime_hosts(remote, self._verification(), self._wall_clock)

    async def certificates(self, hosts: Sequence[RegisteredHost]) -> Sequence[CertificateFacts]:
        """Look at the certificate of each registered host, all at the same time."""
        verification = self._verification()
        seen = (certificate_facts(each.url, verification, self._wall_clock, each.address) for each in hosts)
        return await asyncio.gather(*seen)

    def _verification(self) -> Verification:
        return Verification(runtime_options(self._settings).ca_file)
