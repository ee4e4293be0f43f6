"""Clients of two controllers of a distributed database, while a node fails or buckets move, and what must hold."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx2
from attrs import define, field, frozen

from tests.citus.nodes import Nodes, bucket_of
from tests.faults.callers import PAUSE_MAX_S, Callers, InTurn
from tests.faults.history import EXECUTE, GET, INITIALIZE, PATCH, Call, Stored, problems, unrecorded
from tests.faults.keyed_callers import KeyedCallers, echoing
from tests.faults.keyed_callers import problems as keyed_problems
from tests.faults.mortal import Mortal, runs_in
from tests.faults.report import NOTES, ROWS, row_of
from tests.faults.trial import FAULTY, SLACK_S, cancelled, recovery_s
from tests.faults.watch import Watch

CONTROLLERS = 2
GRACE_S = 60
CALLERS = 12
NEIGHBOURS = 6
KEYED = 6
SESSIONS = 24
KEYED_SESSIONS = 16
QUIET_S = 2.0
AFTER_S = 2.0
SERVED_S = 1.0
"""A second after a node is back, all calls succeed."""
NOTICED_S = 3.0
"""From then on no new session gets a bucket that is away: one call takes two seconds to notice it."""
RATE_MIN = 0.3
"""So much of their rate neighbours keep at least: tests share the processors with others."""
BUSY = "OVERLOADED"
BUSY_MAX = 0.02
"""So many calls may be refused for want of a connection, on processors that others use."""
PROBLEMS_SHOWN = 20
NEIGHBOURLY = {EXECUTE: 40, GET: 30, PATCH: 15}


@contextlib.asynccontextmanager
async def controllers_of(nodes: Nodes, folder: Path, runs: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """Yield a client of two controllers in turn, whose scripts leave a line each in the file `runs`."""
    variables = {"DATABASE_URL": nodes.cluster.url(nodes.database), "DATABASE_NODES": nodes.addresses}
    variables |= {"DATA_DIR": str(folder), "LOG_LEVEL": "error"}
    controllers = [Mortal(variables, runs, grace_s=GRACE_S) for _ in range(CONTROLLERS)]
    try:
        for each in controllers:
            await each.ready()
        transport = InTurn([each.url for each in controllers])
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=None) as client:
            yield client
    finally:
        for each in controllers:
            await asyncio.to_thread(each.kill)


@define(eq=False)
class Load:
    """All clients of one trial: `neighbours` call sessions in buckets that stay well, the others all sessions."""

    everyone: Callers
    neighbours: Callers
    keyed: KeyedCallers
    watch: Watch
    _clients: list[asyncio.Future[None]] = field(factory=list)
    _watchers: list[asyncio.Future[None]] = field(factory=list)

    @property
    def calls(self) -> list[Call]:
        return [*self.everyone.calls, *self.neighbours.calls]

    def start(self) -> None:
        self._watchers = self.watch.start()
        self._clients = [
            *self.everyone.start(CALLERS),
            *self.neighbours.start(NEIGHBOURS),
            *self.keyed.start(KEYED),
        ]

    async def stop(self) -> None:
        """Let each client end its call."""
        for each in (self.everyone, self.neighbours, self.keyed):
            each.stop()
        await asyncio.gather(*self._clients)

    async def leave(self) -> None:
        await cancelled([*self._clients, *self._watchers])


@frozen
class During:
    """When a fault began and ended, and when its node was back."""

    began_s: float
    over_s: float
    ended_s: float


@frozen
class LoadTrial:
    """A fault of some buckets, which the others must not notice; without `lost` no bucket may be away.

    `number` tells trials on one database apart.
    """

    name: str
    number: int
    nodes: Nodes
    client: httpx2.AsyncClient
    runs: Path
    lost: Collection[int] = ()
    lasting_s: float = 0.0
    pause_max_s: float = PAUSE_MAX_S

    async def run(self, fault: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        """Run the load with the fault in its midst; fails on whatever is not as it must be."""
        before = await asyncio.to_thread(self.nodes.stored)
        load = await self._load()
        load.start()
        try:
            await asyncio.sleep(QUIET_S)
            began_s = time.monotonic()
            async with fault():
                await asyncio.sleep(self.lasting_s)
                over_s = time.monotonic()
            during = During(began_s, over_s, time.monotonic())
            await asyncio.sleep(SERVED_S + SLACK_S + AFTER_S)
            await load.stop()
        finally:
            await load.leave()
        settled = await load.keyed.settle()
        stored = await asyncio.to_thread(self.nodes.stored)
        new = {session_id: each for session_id, each in stored.items() if session_id not in before}
        self._judge(load, during, new, await asyncio.to_thread(self._keyed_problems, load.keyed, settled))

    async def _load(self) -> Load:
        chance = random.Random(self.name)
        everyone = Callers(self.client, chance, pause_max_s=self.pause_max_s)
        neighbours = Callers(
            self.client,
            chance,
            pause_max_s=self.pause_max_s,
            weights=NEIGHBOURLY,
            takes=lambda session_id: bucket_of(session_id) not in self.lost,
        )
        await everyone.prepare(SESSIONS)
        await neighbours.prepare(SESSIONS)
        sessions = await echoing(self.client, KEYED_SESSIONS)
        keyed = KeyedCallers([self.client], sessions, chance, first=100_000 * self.number)
        return Load(everyone, neighbours, keyed, Watch(self.client))

    def _judge(self, load: Load, during: During, stored: dict[str, Stored], keyed: Sequence[str]) -> None:
        recovered_s = recovery_s(load.calls, during.ended_s)
        ROWS.append(row_of(self.name, load.calls, (during.began_s, during.ended_s), recovered_s))
        kept = _rate(load.neighbours, during.began_s, during.over_s) / _rate(
            load.neighbours, during.began_s - QUIET_S, during.began_s
        )
        self._note(load, kept)
        found = [*keyed, *problems(load.calls, stored, SLACK_S, FAULTY), *unrecorded(load.calls, stored)]
        found += [*load.watch.problems(SLACK_S), *self._elsewhere(load.calls, during)]
        if recovered_s > SERVED_S + SLACK_S:
            found.append(f"a call still failed {recovered_s:.2f} s after the fault had ended")
        if set(load.watch.readiness(0.0, float("inf"))) != {200}:
            found.append("a controller was not ready")
        if kept < RATE_MIN:
            found.append(f"calls in other buckets kept {kept:.0%} of their rate")
        if self.lost and not any(call.failed for call in load.calls):
            found.append("the fault did nothing")
        assert not found, "\n".join([f"{self.name}: {len(found)} problems", *found[:PROBLEMS_SHOWN], str(ROWS[-1])])

    def _note(self, load: Load, kept: float) -> None:
        acknowledged = Counter(call.operation for call in load.calls if call.succeeded)
        NOTES.append(
            f"{self.name}: {acknowledged[INITIALIZE]} sessions and {acknowledged[EXECUTE]} executions acknowledged, "
            f"{len(load.keyed.responses)} keyed calls, other buckets at {kept:.0%} of their rate"
        )

    def _elsewhere(self, calls: Sequence[Call], during: During) -> Iterator[str]:
        """Yield failures that are none of the buckets that are away, or do not name them."""
        failed = [call for call in calls if call.failed]
        busy = [call for call in failed if call.response is not None and call.response.code == BUSY]
        others = sum(call.session_id is None or bucket_of(call.session_id) not in self.lost for call in busy)
        if others > BUSY_MAX * len(calls):
            yield f"{others} of {len(calls)} calls got {BUSY} though their buckets were well"
        for call in (each for each in failed if each not in busy):
            said = f"{call.operation} {call.session_id} failed: {call.response}"
            bucket = call.response.details.get("bucket") if call.response else None
            if bucket is not None and bucket not in self.lost:
                yield f"{said}: another bucket is named"
            if call.session_id is None:
                if call.began_s > during.began_s + NOTICED_S or not self.lost:
                    yield f"{said}: another bucket was there"
            elif bucket_of(call.session_id) not in self.lost:
                yield f"{said}: its bucket was well"

    def _keyed_problems(self, keyed: KeyedCallers, settled: dict) -> Sequence[str]:
        """Compare the database with the marks that scripts left outside of it."""
        runs = runs_in(self.runs)
        times = Counter(execution_id for execution_id, _ in runs)
        twice = [f"execution {each} ran {n} times" for each, n in times.items() if n > 1]
        unrun = [f"execution {each} is counted, and did not run" for each in self.nodes.counted() if each not in times]
        ran = Counter(params["n"] for _, params in runs if "other" in params)
        return [*twice, *unrun, *keyed_problems(keyed.responses, settled, ran, Counter(self.nodes.made()))]


def _rate(callers: Callers, from_s: float, to_s: float) -> float:
    return sum(call.succeeded and from_s <= call.ended_s <= to_s for call in callers.calls) / max(to_s - from_s, 0.001)
