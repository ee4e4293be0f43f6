"""Which runner runs which language."""

from collections.abc import Callable, Mapping, Sequence

from attrs import define, field

from adapters.remote_runtime.inspection import inspect_runtime_hosts
from adapters.remote_runtime.script_runner import HttpScriptRunner
from adapters.sandbox.inspection import inspect_sandbox
from adapters.sandbox.runner import SandboxScriptRunner
from domain.inspection import RuntimeHostFacts, SandboxFacts
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRunner
from domain.stats import SandboxStats
from entrypoints.composition.options import runtime_options, sandbox_options
from entrypoints.http.endpoints.health import Probe
from entrypoints.settings.settings import Settings

_CLOSE_GRACE_S = 2.0


@define(eq=False)
class Runners:
    """The sandbox of this host, for the languages that have no runtime hosts, and the client of those that have."""

    sandbox: SandboxScriptRunner | None
    remote: HttpScriptRunner | None
    by_language: Mapping[Language, ScriptRunner] = field()

    @classmethod
    def of(cls, settings: Settings, more_headers: Callable[[], Mapping[str, str]] = dict) -> "Runners":
        """Choose by NODEJS_RUNTIME_URL and PYTHON_RUNTIME_URL; calls to those hosts carry `more_headers`."""
        urls = {Language.NODEJS: settings.nodejs_runtime_url, Language.PYTHON: settings.python_runtime_url}
        far = {language: listed for language, listed in urls.items() if listed}
        near = tuple(language for language, listed in urls.items() if not listed)
        sandbox = SandboxScriptRunner(sandbox_options(settings, near)) if near else None
        remote = HttpScriptRunner(runtime_options(settings), far, more_headers) if far else None
        by_language = {language: remote if language in far else sandbox for language in urls}
        return cls(sandbox, remote, {language: runner for language, runner in by_language.items() if runner})

    @property
    def probes(self) -> Mapping[str, Probe]:
        """The health of each language, and of this host's sandbox."""
        languages = {f"runtimes.{language}": runner.health for language, runner in self.by_language.items()}
        return {**languages, "sandbox": _no_sandbox if self.sandbox is None else self.sandbox.health}

    def sandbox_stats(self) -> SandboxStats | None:
        """Return the numbers of this host's sandbox, if it has one."""
        return None if self.sandbox is None else self.sandbox.stats()

    async def open(self) -> None:
        """Start what runs here, and the client of what runs elsewhere; nothing that is missing stops the start."""
        if self.sandbox is not None:
            await self.sandbox.open()
        if self.remote is not None:
            await self.remote.open()

    async def close(self) -> None:
        """End every worker of this host."""
        if self.remote is not None:
            await self.remote.close()
        if self.sandbox is not None:
            await self.sandbox.close(_CLOSE_GRACE_S)


async def _no_sandbox() -> Mapping[str, object]:
    return {"status": "ok", "layers": {}, "reason": "scripts run on runtime hosts, which report their own sandbox"}


@define(eq=False)
class HostInspector:
    """Inspects the runners of a controller with these settings; it opens and closes them each time."""

    _settings: Settings

    async def sandbox(self) -> SandboxFacts | None:
        """Return the facts about this host's sandbox; None if every language runs on runtime hosts."""
        sandbox = Runners.of(self._settings).sandbox
        return None if sandbox is None else await inspect_sandbox(sandbox.options)

    async def runtime_hosts(self) -> Sequence[RuntimeHostFacts]:
        """Return the facts about each runtime host."""
        remote = Runners.of(self._settings).remote
        return [] if remote is None else await inspect_runtime_hosts(remote)
