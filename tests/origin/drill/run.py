"""One drill: the stages of a takeover there and back, under clients, with kills."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from typing import Any

from attrs import define, field, frozen

from tests.faults.server import Server
from tests.origin.drill.clients import Clients
from tests.origin.drill.ledger import HERE, ORIGIN
from tests.origin.drill.world import World, world

_BEFORE_S = 1.0
_KILLS = (1, 2)
"""So many during each command: every one costs a start of a program."""

_KILL_AFTER_S = (0.2, 4.0)
_DOWN_S = (0.0, 0.6)
_PROBLEMS_SHOWN = 20


@frozen
class Plan:
    """What a run does."""

    seed: int
    generation: str
    clients: int = 64
    idle: int = 2000
    settle_s: int = 3
    kills: bool = True


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
        kinds = {"seed": self.plan.seed, "generation": self.plan.generation, "kills": self.kills}
        return kinds | figures | {"commands": self.statuses, "problems": self.problems[:_PROBLEMS_SHOWN]}


async def drill(plan: Plan, there: Server, here: Server) -> Report:
    """Make one run; both servers run afterwards."""
    report, began_s = Report(plan), time.monotonic()
    async with world(plan.generation, there, here, plan.idle) as made:
        clients = Clients(made.service.url, str(made.runs), plan.seed)
        report.statuses = made.statuses
        before = made.idle()
        clients.start(plan.clients)
        try:
            await _there_and_back(made, clients, report)
            _judge_end(made, clients, report, before)
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


async def _there_and_back(made: World, clients: Clients, report: Report) -> None:
    settle = ("--settle-seconds", str(report.plan.settle_s))
    await asyncio.sleep(_BEFORE_S)
    await made.takeover("plan", good=(0, 1))
    for command in (("copy",), ("open",), ("adopt", *settle)):
        await _killing(made, report, command)
    await clients.pause()
    await made.takeover("adopt", *settle)
    report.late = made.late()
    _judge(made, clients, report)
    if not report.plan.kills:
        report.gap_p99_ms = _p99(made.gaps_ms())
    await made.takeover("verify")
    clients.heading_back = True
    clients.resume()
    await asyncio.sleep(_BEFORE_S)
    await _killing(made, report, ("back", *settle))
    await clients.pause()
    await made.takeover("back", *settle)


def _judge(made: World, clients: Clients, report: Report) -> None:
    """Compare both sides with the ledger, while no call is under way."""
    ledger = clients.ledger
    held, both = made.held()
    report.problems += [*both, *ledger.lost(held), *ledger.miscounted(held), *ledger.wavering(), *ledger.wrong]
    report.problems += ledger.twice(made.runs_at_origin())
    if not report.plan.kills:
        report.problems += ledger.refused
    ledger.wrong.clear()


def _judge_end(made: World, clients: Clients, report: Report, before: dict[str, tuple[Any, ...]]) -> None:
    _judge(made, clients, report)
    after = made.idle()
    changed = [each for each in before if after.get(each) != before[each]]
    report.problems += [f"{each} came back changed: {before[each]} {after.get(each)}" for each in changed]


def _p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)] if values else float("nan")


async def _killing(made: World, report: Report, command: tuple[str, ...]) -> None:
    """Run a command to its good end, with kills at random points meanwhile; all runs again afterwards."""
    if not report.plan.kills:
        await made.takeover(*command)
        return
    over = asyncio.Event()
    kills = asyncio.ensure_future(_kills(made, report, command[0], over))
    try:
        await made.takeover(*command, again=True)
    finally:
        over.set()
        await kills
        await made.service.ready()


async def _kills(made: World, report: Report, command: str, over: asyncio.Event) -> None:
    chance = random.Random(f"{report.plan.seed} {command}")
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
