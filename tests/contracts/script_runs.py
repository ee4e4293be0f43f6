"""Script runs for tests, with every field defaulted."""

import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

from attrs import define

from domain.identity import ANONYMOUS, Owner, SessionRef, uuid7_at
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.ports import ScriptRun, ScriptRunner
from domain.scripts.report import Failure, ScriptReport
from domain.scripts.script import Script

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
    )


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
