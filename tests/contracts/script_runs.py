"""Script runs for tests, with every field defaulted."""

import asyncio
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

from attrs import define, field
from typing_extensions import override

from domain.egress.endpoints import NamedEndpoint
from domain.egress.rule import EgressRule
from domain.identity import ANONYMOUS, Owner, SessionRef, uuid7_at
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.environment import Environment
from domain.scripts.files import RunFiles
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.output import OutputListener, ScriptProgress
from domain.scripts.ports import RunState, ScriptRun, ScriptRunner
from domain.scripts.report import Failure, ScriptReport
from domain.scripts.script import Script
from domain.scripts.syntax import Syntax

LIMITS = Limits(timeout_ms=5000, memory_mb=128, isolation=Isolation.SESSION)


def new_id(now: datetime | None = None) -> UUID:
    """Return a UUIDv7 of now."""
    return uuid7_at(now or datetime.now(UTC), secrets.randbits(62))


def new_session(owner: Owner = ANONYMOUS) -> SessionRef:
    """Return the reference of a new session."""
    return SessionRef(owner, new_id())


def script_of(source: str) -> Script:
    return Script.of(source, 1 << 24)


@define
class Source:
    """Returns a script and counts how often it was read; raises `error` instead if there is one."""

    script: Script
    error: Exception | None = None
    reads: int = 0

    async def __call__(self) -> Script:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return self.script


def run_of(
    source: str | Source,
    params: str = "{}",
    *,
    context: str = "{}",
    language: Language = Language.PYTHON,
    ref: SessionRef | None = None,
    limits: Limits = LIMITS,
    execution_id: UUID | None = None,
    session_left: timedelta = timedelta(hours=1),
    convention: Convention = Convention.OWN,
    listener: OutputListener | None = None,
    state: RunState | None = None,
    network: tuple[str, ...] = (),
    guarded: tuple[NamedEndpoint, ...] = (),
    secrets: Mapping[str, str] | None = None,
    syntax: Syntax | None = None,
    environment: Environment | None = None,
    files: RunFiles | None = None,
) -> ScriptRun:
    """Return a run of this source, in a session of its own unless `ref` says which."""
    asked = source if isinstance(source, Source) else Source(script_of(source))
    return ScriptRun(
        ref=ref or new_session(),
        execution_id=execution_id or new_id(),
        language=language,
        limits=limits,
        session_left=session_left,
        script_hash=asked.script.hash,
        context=JsonText(context),
        params=JsonText(params),
        source=asked,
        convention=convention,
        listener=listener,
        state=state,
        syntax=syntax,
        environment=environment,
        network=tuple(map(EgressRule.parse, network)),
        guarded=guarded,
        secrets=secrets or {},
        files=files,
    )


@define
class Heard(OutputListener):
    """What a listener heard."""

    stdout: bytes = b""
    stderr: bytes = b""
    progress: list[ScriptProgress] = field(factory=list)
    first: asyncio.Event = field(factory=asyncio.Event)
    """Set when something was heard."""

    @override
    def on_stdout(self, piece: bytes) -> None:
        self.stdout += piece
        self.first.set()

    @override
    def on_stderr(self, piece: bytes) -> None:
        self.stderr += piece
        self.first.set()

    @override
    def on_progress(self, progress: ScriptProgress) -> None:
        self.progress.append(progress)
        self.first.set()


async def stopped_report(runner: ScriptRunner, run: ScriptRun, heard: Heard) -> ScriptReport:
    """Stop a run, twice, once its listener has heard something, and return the report."""
    worker = await runner.acquire(run)
    try:
        running = asyncio.ensure_future(worker.run())
        async with asyncio.timeout(10):
            await heard.first.wait()
        assert not running.done()
        assert [await worker.stop(), await worker.stop()] == [True, True]
        async with asyncio.timeout(10):
            return await running
    finally:
        await worker.release()


async def report_of(runner: ScriptRunner, run: ScriptRun) -> ScriptReport:
    """Run as a service does, and return the report."""
    worker = await runner.acquire(run)
    try:
        return await worker.run()
    finally:
        await worker.release()


async def result_of(runner: ScriptRunner, run: ScriptRun) -> str:
    """Return the result of a run that must succeed; that of a run that gives none is null."""
    report = await report_of(runner, run)
    assert report.failure is None
    return report.result or "null"


async def gives_result(runner: ScriptRunner, run: ScriptRun) -> bool:
    """Return whether a run, which must succeed, gives a result."""
    report = await report_of(runner, run)
    assert report.failure is None
    return report.result is not None


async def failure_of(runner: ScriptRunner, run: ScriptRun) -> Failure:
    """Return the failure of a run that must fail."""
    report = await report_of(runner, run)
    assert report.result is None
    assert report.failure is not None
    return report.failure
