"""What an operator's examination looks at: this machine, and those that run scripts for it."""

import asyncio
import contextlib
import pwd
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define
from msgspec.structs import replace
from typing_extensions import override

from adapters.sandbox.runtimes.interpreters import InterpreterMissing, find_interpreter
from domain.scripts.language import Language
from entrypoints.cli.diagnosis.facts import HostFacts, LanguageFacts, LayerFacts, RuntimeHostFacts, SandboxFacts
from entrypoints.cli.diagnosis.ports import HostExamination
from entrypoints.composition.runners import Runners
from entrypoints.server.descriptors import attainable, wanted
from entrypoints.settings.settings import Settings

_CLOSE_S = 2.0
_NEEDED = {
    "namespaces": "namespaces of its own",
    "seccomp": "the system call filter (seccomp)",
    "rlimits": "resource limits",
    "tmpfs_limits": "a private file system with limits",
}
_WELCOME = {
    "cgroup": "a control group (memory and processes of all workers together)",
    "free_processor": "a processor kept free of scripts that compute for long",
}


@define(eq=False)
class CommandHostExamination(HostExamination):
    """Opens the runners of a service with these settings, asks them how they are, and closes them."""

    _settings: Settings

    @override
    async def sandbox(self) -> SandboxFacts | None:
        with _folder(self._settings) as settings:
            sandbox = Runners.of(settings).sandbox
            if sandbox is None:
                return None
            try:
                await sandbox.open()
                health: Mapping[str, Any] = await sandbox.health()
            finally:
                await sandbox.close(_CLOSE_S)
            return await asyncio.to_thread(_sandbox_facts, health, settings)

    @override
    async def runtime_hosts(self) -> Sequence[RuntimeHostFacts]:
        remote = Runners.of(self._settings).remote
        if remote is None:
            return []
        await remote.open()
        try:
            health: Mapping[str, Any] = await remote.health()
        finally:
            await remote.close()
        return _host_facts(health["languages"])

    @override
    async def host(self) -> HostFacts:
        folder = next(path for path in (self._settings.data_dir, *self._settings.data_dir.parents) if path.exists())
        disk = shutil.disk_usage(folder)
        return HostFacts(
            data_dir=str(self._settings.data_dir),
            disk_free_bytes=disk.free,
            disk_size_bytes=disk.total,
            descriptors_max=attainable(wanted(self._settings.max_connections, self._settings.max_warm_workers)),
        )


@contextlib.contextmanager
def _folder(settings: Settings) -> Iterator[Settings]:
    """Yield settings whose DATA_DIR is there: to look at a host is no reason to make it."""
    if settings.data_dir.exists():
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="pglambda-doctor-") as folder:
        Path(folder).chmod(0o755)  # workers of another user pass through, and it holds no secret
        yield replace(settings, data_dir=Path(folder))


def _sandbox_facts(health: Mapping[str, Any], settings: Settings) -> SandboxFacts:
    layers, uid = health["layers"], health["layers"]["uid"]
    return SandboxFacts(
        languages=[_language_facts(name, state, settings) for name, state in health["languages"].items()],
        layers=[
            *(LayerFacts(told, layers[name], is_needed=True) for name, told in _NEEDED.items()),
            *(
                LayerFacts(told, layers[name], is_needed=False, reason=layers["not_used"].get(name, ""))
                for name, told in _WELCOME.items()
            ),
        ],
        uid=uid if isinstance(uid, int) else None,
        account=_account_of(uid) if isinstance(uid, int) else "",
    )


def _account_of(uid: int) -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return ""


def _language_facts(name: str, state: Mapping[str, Any], settings: Settings) -> LanguageFacts:
    return LanguageFacts(
        language=name,
        version=state.get("version", ""),
        program=_program(Language(name), settings.nodejs_path),
        failure=None if state["status"] == "ok" else state.get("reason", ""),
    )


def _program(language: Language, node_path: Path | None) -> str:
    try:
        return str(find_interpreter(language, node_path).binds[0].source)
    except InterpreterMissing:
        return ""


def _host_facts(languages: Mapping[str, Any]) -> Sequence[RuntimeHostFacts]:
    by_url: dict[str, tuple[Mapping[str, Any], list[str]]] = {}
    for language, state in languages.items():
        for host in state["hosts"]:
            by_url.setdefault(host["url"], (host, []))[1].append(language)
    return [
        RuntimeHostFacts(
            url=url,
            status=str(host["status"]),
            languages=served,
            reason=str(host.get("reason") or ""),
            version=str(host.get("version") or ""),
        )
        for url, (host, served) in by_url.items()
    ]
