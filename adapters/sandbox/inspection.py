"""Facts about this host's sandbox for an operator."""

import asyncio
import contextlib
import pwd
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import evolve

from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from adapters.sandbox.runtimes.interpreters import InterpreterMissing, find_interpreter
from adapters.sandbox.selftest.reach import why_not_reached
from adapters.sandbox.selftest.trial_hosts import TrialHosts
from adapters.sandbox.selftest.trials import Connect
from domain.errors import DomainError
from domain.host_facts import LanguageFacts, LayerFacts, SandboxFacts, SyntaxFacts
from domain.identity import ANONYMOUS
from domain.scripts.language import Language
from domain.scripts.script import Script, ScriptSyntaxError
from domain.scripts.syntax import Syntax

_CLOSE_S = 2.0
_MARK = "mark"
"""Which the host of a trial need not look for."""
_SYNTAXES = (
    ("ES modules", "export default 1", None),
    ("TypeScript", "const a: number = 1; return a", Syntax.TYPESCRIPT),
)
_REQUIRED = {
    "namespaces": "namespaces of its own",
    "seccomp": "the system call filter (seccomp)",
    "rlimits": "resource limits",
    "tmpfs_limits": "a private file system with limits",
}
_OPTIONAL = {
    "cgroup": "a control group (memory and processes of all workers together)",
    "free_processor": "a processor kept free of scripts that compute for long",
}


async def inspect_sandbox(options: SandboxOptions) -> SandboxFacts:
    """Start a sandbox with these options, read its health, and stop it."""
    with _with_folder(options) as usable:
        sandbox = SandboxScriptRunner(usable)
        try:
            await sandbox.open()
            health: Mapping[str, Any] = await sandbox.health()
            syntaxes = [each async for each in _syntax_facts(sandbox, health)]
        finally:
            await sandbox.close(_CLOSE_S)
        facts = await asyncio.to_thread(_sandbox_facts, health, usable)
        return evolve(facts, syntaxes=syntaxes)


async def _syntax_facts(sandbox: SandboxScriptRunner, health: Mapping[str, Any]) -> AsyncIterator[SyntaxFacts]:
    """Check a script in each syntax, by functions of Node.js that are experimental."""
    if health["languages"].get(Language.NODEJS, {}).get("status") != "ok":
        return
    for name, source, syntax in _SYNTAXES:
        failure = None
        try:
            await sandbox.check(Language.NODEJS, Script.of(source, len(source)), ANONYMOUS, syntax=syntax)
        except ScriptSyntaxError as error:
            failure = error.fault.message
        except DomainError as error:
            failure = error.message
        yield SyntaxFacts(name, Language.NODEJS, failure)


async def inspect_egress(options: SandboxOptions, connect: Connect) -> Mapping[str, str | None]:
    """Let a script in each language reach a host of this machine; return why it could not, None if it could."""
    with _with_folder(options) as usable:
        runner, hosts = SandboxScriptRunner(usable), TrialHosts((), _MARK)
        async with contextlib.AsyncExitStack() as closing:
            await hosts.open()
            closing.push_async_callback(hosts.close)
            runner.networks = await closing.enter_async_context(connect(runner, hosts))
            closing.push_async_callback(runner.close, _CLOSE_S)
            await runner.open()
            memory_mb = options.memory_mb
            return {each: await why_not_reached(runner, hosts, each, memory_mb) for each in options.languages}


@contextlib.contextmanager
def _with_folder(options: SandboxOptions) -> Iterator[SandboxOptions]:
    """Yield options whose folder's parent exists: an inspection does not create the service's own folder."""
    if options.runtimes_dir.parent.exists():
        yield options
        return
    with tempfile.TemporaryDirectory(prefix="pglambda-doctor-") as folder:
        Path(folder).chmod(0o755)  # workers of another user pass through, and it holds no secret
        yield evolve(options, runtimes_dir=Path(folder) / options.runtimes_dir.name)


def _sandbox_facts(health: Mapping[str, Any], options: SandboxOptions) -> SandboxFacts:
    layers, uid = health["layers"], health["layers"]["uid"]
    return SandboxFacts(
        languages=[_language_facts(name, state, options.node_path) for name, state in health["languages"].items()],
        layers=[
            *(LayerFacts(text, layers[name], is_required=True) for name, text in _REQUIRED.items()),
            *(
                LayerFacts(text, layers[name], is_required=False, reason=layers["not_used"].get(name, ""))
                for name, text in _OPTIONAL.items()
            ),
        ],
        uid=uid if isinstance(uid, int) else None,
        account=_account_of(uid) if isinstance(uid, int) else "",
    )


def _account_of(uid: int) -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return ""


def _language_facts(name: str, state: Mapping[str, Any], node_path: Path | None) -> LanguageFacts:
    return LanguageFacts(
        language=name,
        version=state.get("version", ""),
        program=_program(Language(name), node_path),
        failure=None if state["status"] == "ok" else state.get("reason", ""),
        why_executed=state.get("start_reason", ""),
    )


def _program(language: Language, node_path: Path | None) -> str:
    try:
        return str(find_interpreter(language, node_path).binds[0].source)
    except InterpreterMissing:
        return ""
