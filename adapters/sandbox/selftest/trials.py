"""Makes attacks one after another, and inspects the host after each."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from uuid import uuid4

from attrs import Factory, define, evolve, field

from adapters.sandbox.isolation.system_calls import MACHINES
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from adapters.sandbox.selftest.canaries import Canaries
from adapters.sandbox.selftest.corpus import Attack, AttackState
from adapters.sandbox.selftest.packages import HostilePackages
from adapters.sandbox.selftest.results import Judge, Trial
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from domain.errors import DomainError
from domain.identity import ANONYMOUS, SessionRef
from domain.json_text import EMPTY_OBJECT, JsonText
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.ports import RunState, ScriptRun, ScriptRunner
from domain.scripts.report import ScriptReport
from domain.scripts.script import Script

_SOURCE_SIZE_MAX = 1 << 20
_END_S = 2.0
"""How long a killed process may take to leave the process table."""
_POLL_S = 0.01
_NEIGHBOURS = {Language.PYTHON: "result = 42", Language.NODEJS: "return 42"}


@define(eq=False)
class Attacker:
    """Makes attacks on one runner while canaries are open."""

    runner: ScriptRunner
    canaries: Canaries
    options: SandboxOptions
    packages: HostilePackages = Factory(lambda self: HostilePackages(self.options.runtimes_dir), takes_self=True)
    """Those that the runner has."""
    _neighbours: dict[Language, SessionRef] = field(factory=dict, init=False)

    async def attack(self, attack: Attack) -> Trial:
        """Make the attack and decide whether it succeeded; raises the error that keeps a script from running."""
        started_at = time.perf_counter()
        sessions = [_new_session()]
        reports: list[ScriptReport] = []
        state = EMPTY_OBJECT
        for step in attack.steps:
            if step.in_later_sessions:
                reports += await self._run_later(attack, step.source, sessions)
                continue
            if step.in_another_session:
                sessions.append(_new_session())
                state = EMPTY_OBJECT
            reports.append(await self._run(attack, step.source, sessions[-1], state))
            state = reports[-1].state or state
        await self._evict(sessions)
        harm = await self._harm(attack.language)
        verdict, evidence = Judge(self.options, self.options.memory_mb).judge(attack, reports, harm)
        return Trial(attack, verdict, evidence, (time.perf_counter() - started_at) * 1000)

    async def _run_later(self, attack: Attack, source: str, sessions: list[SessionRef]) -> list[ScriptReport]:
        """Run the source in new sessions, one after another, until one has a worker that started after the first step.

        The prewarmed workers started before. If the source gets something, its report is the last.
        """
        reports: list[ScriptReport] = []
        for _ in range(self.options.prewarmed + 2):
            await self._evict(sessions)
            sessions.append(_new_session())
            reports.append(await self._run(attack, source, sessions[-1]))
            if reports[-1].failure is not None or reports[-1].result not in {None, "null"}:
                break
        return reports

    async def _evict(self, sessions: list[SessionRef]) -> None:
        for session in sessions:
            await self.runner.evict(session.session_id)
        sessions.clear()

    async def _harm(self, language: Language) -> str | None:
        if await self._mark_survives():
            return "a process or thread has outlived its session"
        return self.canaries.harm() or await self._neighbour_harmed(language)

    async def _mark_survives(self) -> bool:
        ends_at = time.monotonic() + _END_S
        while self.canaries.is_mark_alive():
            if time.monotonic() > ends_at:
                return True
            await asyncio.sleep(_POLL_S)
        return False

    async def _neighbour_harmed(self, language: Language) -> str | None:
        session = self._neighbours.setdefault(language, _new_session())
        try:
            report = await self._report(self._script_run(language, _NEIGHBOURS[language], session, 5000))
        except DomainError as error:
            return f"another session's call was refused: {error}"
        return None if report.result == "42" else "another session's call failed"

    async def _run(
        self, attack: Attack, source: str, session: SessionRef, state: JsonText = EMPTY_OBJECT
    ) -> ScriptReport:
        run = self._script_run(attack.language, source, session, attack.timeout_ms)
        environment = self.packages.environment(attack.language) if attack.has_packages else None
        given = _run_state(attack, state)
        return await self._report(evolve(run, convention=attack.convention, state=given, environment=environment))

    async def _report(self, run: ScriptRun) -> ScriptReport:
        worker = await self.runner.acquire(run)
        try:
            return await worker.run()
        finally:
            await worker.release()

    def _script_run(self, language: Language, source: str, session: SessionRef, timeout_ms: int) -> ScriptRun:
        script = Script.of(source, _SOURCE_SIZE_MAX)

        async def read() -> Script:
            return script

        return ScriptRun(
            ref=session,
            execution_id=uuid4(),
            language=language,
            limits=Limits(timeout_ms, self.options.memory_mb, Isolation.SESSION),
            session_left=timedelta(hours=1),
            script_hash=script.hash,
            context=JsonText("{}"),
            params=JsonText(json.dumps({**self.canaries.params(), **self._facts()})),
            source=read,
        )

    def _facts(self) -> Mapping[str, object]:
        options = self.options
        machine = MACHINES.get(os.uname().machine)
        calls = {} if machine is None else {**machine.denied, **machine.idle, **machine.decided}
        return {
            "calls": calls,
            "memory_mb": options.memory_mb,
            "processes_max": options.processes_max,
            "files_max": options.files_max,
            "tmp_size_max": options.tmp_size_max,
            "tmp_files_max": options.tmp_files_max,
            "result_size_max": options.result_size_max,
            "state_size_max": options.state_limits.size_max,
        }


@define(eq=False)
class SelfTest:
    """The attacks, made on a sandbox with the options of the service on this host."""

    options: SandboxOptions
    attacks: Sequence[Attack]

    async def trials(self) -> AsyncIterator[Trial]:
        """Make the attacks in their order; raises RuntimeUnavailable if there is no sandbox to attack."""
        runner = SandboxScriptRunner(self.options, trees=HostilePackages(self.options.runtimes_dir))
        await runner.open()
        canaries = Canaries(SandboxBuilder(self.options).uid)
        try:
            canaries.open()
            attacker = Attacker(runner, canaries, self.options)
            for attack in self.attacks:
                yield await attacker.attack(attack)
        finally:
            canaries.close()
            await runner.close(_END_S)


def _run_state(attack: Attack, text: JsonText) -> RunState | None:
    if attack.state is None:
        return None
    is_shared, saves_failures = attack.state is AttackState.SHARED, attack.state is AttackState.ALWAYS
    return RunState(text, is_shared=is_shared, saves_failures=saves_failures)


def _new_session() -> SessionRef:
    return SessionRef(ANONYMOUS, uuid4())
