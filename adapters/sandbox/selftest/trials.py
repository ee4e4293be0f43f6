"""Makes attacks one after another, and inspects the host after each."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import timedelta
from uuid import uuid4

from attrs import Factory, define, evolve, field

from adapters.sandbox.isolation.system_calls import MACHINES
from adapters.sandbox.network import Networks
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from adapters.sandbox.selftest.canaries import Canaries
from adapters.sandbox.selftest.corpus import Attack, AttackState
from adapters.sandbox.selftest.files import TrialFiles
from adapters.sandbox.selftest.packages import HostilePackages
from adapters.sandbox.selftest.reach import why_not_reached
from adapters.sandbox.selftest.results import AttackResult, Judge, Trial
from adapters.sandbox.selftest.secrets import SECRETS, TrialSecrets
from adapters.sandbox.selftest.trial_hosts import TrialHosts
from domain.egress.rule import EgressRule
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


Connect = Callable[[SandboxScriptRunner, TrialHosts], contextlib.AbstractAsyncContextManager[Networks]]


@define(eq=False)
class Attacker:
    """Makes attacks on one runner while canaries are open."""

    runner: ScriptRunner
    canaries: Canaries
    options: SandboxOptions
    packages: HostilePackages = Factory(lambda self: HostilePackages(self.options.runtimes_dir), takes_self=True)
    """Those that the runner has."""
    hosts: TrialHosts | None = None
    """Those that scripts with a network may reach, and others; None if no attack has a network."""
    _reaches: dict[Language, bool] = field(factory=dict, init=False)
    _neighbours: dict[Language, SessionRef] = field(factory=dict, init=False)

    async def attack(self, attack: Attack) -> Trial:
        """Make the attack and decide whether it succeeded; raises the error that keeps a script from running."""
        started_at = time.perf_counter()
        sessions = [_new_session()]
        reports: list[ScriptReport] = []
        state, files = EMPTY_OBJECT, TrialFiles()
        for step in attack.steps:
            if step.in_later_sessions:
                reports += await self._run_later(attack, step.source, sessions)
                continue
            if step.in_another_session:
                sessions.append(_new_session())
                state, files = EMPTY_OBJECT, TrialFiles()
            is_first = len(sessions) == 1
            reports.append(await self._run(attack, step.source, sessions[-1], state, files, first=is_first))
            state = reports[-1].state or state
        await self._evict(sessions)
        harm = await self._harm(attack.language)
        verdict, evidence = Judge(self.options, self.options.memory_mb).judge(attack, reports, harm)
        if attack.network and verdict is AttackResult.HELD and not await self._can_reach(attack.language):
            verdict, evidence = AttackResult.UNCLEAR, "its language does not reach the host that it may reach"
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
        of_hosts = None if self.hosts is None else self.hosts.harm()
        return self.canaries.harm() or of_hosts or await self._neighbour_harmed(language)

    async def _can_reach(self, language: Language) -> bool:
        """Return whether a script of the language reaches the allowed host, without which attacks prove nothing."""
        if language not in self._reaches:
            assert self.hosts is not None
            why_not = await why_not_reached(self.runner, self.hosts, language, self.options.memory_mb)
            self._reaches[language] = why_not is None
        return self._reaches[language]

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

    async def _run(  # noqa: PLR0913  # what a step finds
        self,
        attack: Attack,
        source: str,
        session: SessionRef,
        state: JsonText = EMPTY_OBJECT,
        files: TrialFiles | None = None,
        *,
        first: bool = False,
    ) -> ScriptReport:
        run = self._script_run(attack.language, source, session, attack.timeout_ms)
        run = self._with_network(run, attack.network, attack.target)
        if attack.syntax is not None:
            # As at initialize, which starts what runs it.
            script, asked = await run.source(), attack.syntax.asked
            await self.runner.check(attack.language, script, ANONYMOUS, attack.convention, asked)
        environment = self.packages.environment(attack.language) if attack.has_packages else None
        given = _run_state(attack, state)
        run = evolve(run, convention=attack.convention, state=given, syntax=attack.syntax, environment=environment)
        if attack.has_files and files is not None:
            run = evolve(run, files=files.of_run())
        if not (attack.has_secrets and first):
            return await self._report(run)
        secrets = TrialSecrets()
        return secrets.shown(await self._report(evolve(run, secrets=SECRETS, listener=secrets.listener())))

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
            params=JsonText(json.dumps(self._params())),
            source=read,
        )

    def _with_network(self, run: ScriptRun, rules: Sequence[str], target: str = "") -> ScriptRun:
        """Return the run with rules in which names and ports stand for those of the trial."""
        params = {**self._params(), "target": target}
        network = tuple(EgressRule.parse(rule.format(**params)) for rule in rules)
        guarded = () if self.hosts is None else (self.hosts.registered,)
        return evolve(run, params=JsonText(json.dumps(params)), network=network, guarded=guarded)

    def _params(self) -> Mapping[str, object]:
        hosts = {} if self.hosts is None else self.hosts.params()
        return {**self.canaries.params(), **self._facts(), **hosts}

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
    connect: Connect | None = None
    """Connects the scripts of a runner to hosts; without it no attack may have a network."""

    async def trials(self) -> AsyncIterator[Trial]:
        """Make the attacks in their order; raises RuntimeUnavailable if there is no sandbox to attack."""
        runner = SandboxScriptRunner(self.options, trees=HostilePackages(self.options.runtimes_dir))
        canaries = Canaries(runner.builder.uid)
        async with contextlib.AsyncExitStack() as closing:
            closing.callback(canaries.close)
            canaries.open()
            hosts = await self._connected(runner, canaries.mark, closing)
            closing.push_async_callback(runner.close, _END_S)
            await runner.open()
            attacker = Attacker(runner, canaries, self.options, hosts=hosts)
            for attack in self.attacks:
                yield await attacker.attack(attack)

    async def _connected(
        self, runner: SandboxScriptRunner, mark: str, closing: contextlib.AsyncExitStack
    ) -> TrialHosts | None:
        attacks = [attack for attack in self.attacks if attack.network]
        if self.connect is None or not attacks:
            return None
        hosts = TrialHosts(attacks, mark)
        await hosts.open()
        closing.push_async_callback(hosts.close)
        runner.networks = await closing.enter_async_context(self.connect(runner, hosts))
        return hosts


def _run_state(attack: Attack, text: JsonText) -> RunState | None:
    if attack.state is None:
        return None
    return RunState(
        text,
        is_shared=attack.state is AttackState.SHARED,
        saves_failures=attack.state is AttackState.ALWAYS,
        is_repl=attack.state is AttackState.REPL,
    )


def _new_session() -> SessionRef:
    return SessionRef(ANONYMOUS, uuid4())
