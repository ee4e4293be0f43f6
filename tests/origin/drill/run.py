"""One drill: the stages of a takeover there and back, under clients, with kills."""

import asyncio
import contextlib
import json
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from tests.faults.server import Server
from tests.origin.drill.clients import Clients
from tests.origin.drill.ledger import HERE, ORIGIN
from tests.origin.drill.world import SECRET, World, world

_CALLS_S = 1.0
"""So long clients call, while no command moves sessions."""

_RECORDED_MINUTES = "0.05"
_KILLS = (1, 2)
"""So many during each command: every one costs a start of a program."""

_KILL_AFTER_S = (0.2, 4.0)
_DOWN_S = (0.0, 0.6)
_PROBLEMS_SHOWN = 20
_REPORT_SHOWN = 2000


@frozen
class Plan:
    """What a run does."""

    seed: int
    generation: str
    clients: int = 64
    idle: int = 2000
    settle_s: int = 3
    kills: bool = True
    authenticated: bool = False


@define
class Report:
    """What a run found."""

    plan: Plan
    kills: list[str] = field(factory=list)
    statuses: list[str] = field(factory=list)
    problems: list[str] = field(factory=list)
    calls: int = 0
    sessions: int = 0
    executions_there: int = 0
    executions_here: int = 0
    late: int = 0
    unsure: int = 0
    refused: int = 0
    gap_p99_ms: float | None = None
    took_s: float = 0.0

    def facts(self) -> dict[str, Any]:
        """Return the members of a line of JSON."""
        names = (
            "calls",
            "sessions",
            "executions_there",
            "executions_here",
            "late",
            "unsure",
            "refused",
            "gap_p99_ms",
            "took_s",
        )
        figures = {name: getattr(self, name) for name in names}
        kinds = {"seed": self.plan.seed, "generation": self.plan.generation, "authenticated": self.plan.authenticated}
        kinds |= {"kills": self.kills}
        return kinds | figures | {"commands": self.statuses, "problems": self.problems[:_PROBLEMS_SHOWN]}


async def drill(plan: Plan, there: Server, here: Server) -> Report:
    """Make one run; both servers run afterwards."""
    report, began_s = Report(plan), time.monotonic()
    secret = SECRET if plan.authenticated else None
    settings = {} if secret is None else {"AUTH": "required", "JWT_SECRET": secret}
    async with world(plan.generation, there, here, plan.idle, settings) as made:
        clients = Clients(made.service.url, str(made.runs), plan.seed, secret)
        report.statuses = made.statuses
        clients.start(plan.clients)
        try:
            await _Drill(made, clients, report, made.idle()).run()
        except Exception as error:  # noqa: BLE001  # a run that fails is a row of the report
            report.problems.append(repr(error))
        finally:
            await clients.stop()
    ledger = clients.ledger
    report.calls, report.sessions, report.refused = ledger.calls, len(ledger.sessions), len(ledger.refused)
    sides = Counter(run.side for session in ledger.sessions.values() for run in session.runs)
    report.executions_there, report.executions_here = sides[ORIGIN], sides[HERE]
    report.unsure = sum(len(session.unsure) for session in ledger.sessions.values())
    report.took_s = round(time.monotonic() - began_s, 1)
    return report


@frozen
class _Drill:
    """The commands of a takeover and what they must leave; `idle` are the rows that no client calls.

    `status` fails while the takeover could not be finished.
    """

    made: World
    clients: Clients
    report: Report
    idle: dict[str, tuple[Any, ...]]

    async def run(self) -> None:
        plan = self.report.plan
        settle = ("--settle-seconds", str(plan.settle_s))
        owners = ("--owner", "user_id", "--default-owner", "nobody") if plan.authenticated else ()
        await asyncio.sleep(_CALLS_S)
        await self.made.takeover("plan", *owners, good=(0, 1))
        await self._killing("copy", *owners)
        if not plan.kills:
            await self._rehearse()
        await self._leg(("open", *owners), ("adopt", *settle))
        self.report.late = self.made.late()
        if not plan.kills:
            self.report.gap_p99_ms = _p99(self.made.gaps_ms())
        await asyncio.gather(self._verify(), self.made.takeover("status"))
        await self._next_leg()
        await self._leg(("back", *settle))
        await self.made.takeover("status")
        self._judge_rows()
        await self._next_leg()
        await self._leg(("open", *owners), ("adopt", *settle), ("finish",))
        await self._without_origin()

    async def _rehearse(self) -> None:
        """Register functions, and run recorded calls in the sandbox: it has no folder of the origin, so all differ."""
        await self.made.takeover("functions", good=(0, 1))
        told = await self.made.takeover("rehearse", "--minutes", _RECORDED_MINUTES, "--output", "json", good=(1,))
        if not json.loads(told[told.index("{") :])["calls"]:
            self.report.problems.append("no call was rehearsed")

    async def _leg(self, *commands: tuple[str, ...]) -> None:
        """Bring all sessions to one side under calls, and judge that."""
        for command in commands:
            await self._killing(*command)
        await self.clients.pause()
        self._judge()

    async def _killing(self, *command: str) -> None:
        """Run a command to its good end, with kills at random points meanwhile; all runs again afterwards."""
        made, report = self.made, self.report
        if not report.plan.kills:
            await made.takeover(*command)
            return
        over = asyncio.Event()
        kills = asyncio.ensure_future(_kills(made, report, command[0], self.clients.leg, over))
        try:
            await made.takeover(*command, again=True)
        finally:
            over.set()
            await kills
            await made.service.ready()

    async def _verify(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder, "verify.jsonl")
            try:
                await self.made.takeover("verify", "--report", str(report))
            except AssertionError as error:
                lines = await asyncio.to_thread(report.read_text)
                raise AssertionError(f"{error} Its report: {lines[:_REPORT_SHOWN]}") from error

    async def _next_leg(self) -> None:
        self.clients.leg += 1
        self.clients.resume()
        await asyncio.sleep(_CALLS_S)

    async def _without_origin(self) -> None:
        """After the end no call needs the origin."""
        refused = len(self.clients.ledger.refused)
        self.made.origin.stop()
        self.clients.resume()
        await asyncio.sleep(_CALLS_S)
        await self.clients.pause()
        self._judge()
        self.report.problems += self.clients.ledger.refused[refused:]

    def _judge(self) -> None:
        """Compare both sides with the ledger, while no call is under way."""
        report, ledger = self.report, self.clients.ledger
        held, both = self.made.held()
        report.problems += [*both, *ledger.lost(held), *ledger.miscounted(held), *ledger.wavering(), *ledger.wrong]
        report.problems += ledger.twice(self.made.runs_at_origin())
        report.problems += [f"{each}, which no client calls, is lost" for each in self.idle if each not in held]
        if not report.plan.kills:
            report.problems += ledger.refused
        ledger.wrong.clear()

    def _judge_rows(self) -> None:
        """Compare the rows that no client calls with what they were, column by column."""
        after = self.made.idle()
        changed = [each for each, row in self.idle.items() if after.get(each) != row]
        self.report.problems += [f"{each} came back changed: {self.idle[each]} {after.get(each)}" for each in changed]


def _p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)] if values else float("nan")


async def _kills(made: World, report: Report, command: str, leg: int, over: asyncio.Event) -> None:
    chance = random.Random(f"{report.plan.seed} {command} {leg}")
    victims = ["command", "command", "service", "there", "here", *(["redis"] if made.redis else [])]
    for _ in range(chance.randint(*_KILLS)):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), chance.uniform(*_KILL_AFTER_S))
            return
        victim = chance.choice(victims)
        report.kills.append(f"{victim} during {command}")
        await _killed(made, victim, chance.uniform(*_DOWN_S))


async def _killed(made: World, victim: str, down_s: float) -> None:
    """Kill one, and start it again after a time; the run repeats its commands itself."""
    if victim == "command":
        if made.command is not None and made.command.returncode is None:
            made.command.kill()
        return
    process = getattr(made, victim)
    await asyncio.to_thread(process.kill)
    await asyncio.sleep(down_s)
    await asyncio.to_thread(process.start)
