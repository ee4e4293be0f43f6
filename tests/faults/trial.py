"""A fault that comes and goes under load, and what must hold all the while."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import httpx2
from attrs import field, frozen

from tests.faults.callers import PAUSE_MAX_S, Callers
from tests.faults.history import Call, Stored, problems, unrecorded
from tests.faults.report import NOTES, ROWS, row_of
from tests.faults.watch import Watch

SLACK_S = 1.0
RECOVERY_S = 2.0
WRITE_INTERVAL_S = 5.0
"""A write that was refused is tried again after this time."""
QUIET_S = 0.7
AFTER_S = 1.0
PROBLEMS_SHOWN = 20
USUAL = frozenset({"SESSION_CLOSED", "CONFLICT"})
FAULTY = USUAL | {"STORAGE_UNAVAILABLE", "OVERLOADED"}

Fault = Callable[[], AbstractAsyncContextManager[None]]


@frozen
class Trial:
    """One fault and what it may do: the error codes that may be seen, and whether `/readyz` must report it.

    Calls that are made `recovery_s` after its end, or later, succeed. From `readiness_s` on `/readyz` is 200. No
    response is later than promised by more than `slack_s`.

    If `away`, `/readyz` is never 200 from `noticed_s` after its start on. `bites` says that some calls must fail, or
    the fault was none; `settles`, that the process lives on and records in the end what has run.

    `ended` returns the instant at which the fault was over, once it is. Clients go on calling for `after_s` after all
    calls must succeed. A share of `late_max` of these calls may fail, because the test shares its processors.
    """

    name: str
    clients: int = 32
    lasting_s: float = 3.0
    recovery_s: float = RECOVERY_S
    readiness_s: float = RECOVERY_S
    slack_s: float = SLACK_S
    errors: frozenset[str] = FAULTY
    away: bool = False
    noticed_s: float = 1.0
    bites: bool = True
    settles: bool = True
    disconnects: float = 0.0
    padding: int = 0
    sessions: int = 24
    pause_max_s: float = PAUSE_MAX_S
    after_s: float = AFTER_S
    late_max: float = 0.0
    ended: Callable[[], float] = time.monotonic
    tells: Callable[[Callers, tuple[float, float]], None] = field(default=lambda callers, during_s: None)

    async def run(self, client: httpx2.AsyncClient, fault: Fault, stored: Callable[[], dict[str, Stored]]) -> None:
        """Run the load with the fault in its midst; fails on whatever is not as it must be."""
        callers = Callers(client, random.Random(self.name), self.disconnects, self.padding, self.pause_max_s)
        watch = Watch(client)
        await callers.prepare(self.sessions)
        clients, watchers = callers.start(self.clients), watch.start()
        try:
            await asyncio.sleep(QUIET_S)
            began_s = time.monotonic()
            async with fault():
                await asyncio.sleep(self.lasting_s)
                over_s = time.monotonic()
            ended_s = self.ended()
            await asyncio.sleep(max(self.recovery_s, self.readiness_s) + SLACK_S + self.after_s)
            callers.stop()
            await asyncio.gather(*clients)
        finally:
            await cancelled([*clients, *watchers])
        self._judge(callers, watch, (began_s, over_s, ended_s), stored())

    def _judge(self, callers: Callers, watch: Watch, at_s: tuple[float, float, float], stored: dict) -> None:
        began_s, over_s, ended_s = at_s
        late = self._few_late(callers.calls, ended_s)
        recovered_s = recovery_s([call for call in callers.calls if call not in late], ended_s)
        ROWS.append(row_of(self.name, callers.calls, (began_s, ended_s), recovered_s))
        found = [*problems(callers.calls, stored, self.slack_s, self.errors), *watch.problems(self.slack_s)]
        if self.settles:
            found += unrecorded(callers.calls, stored)
        if recovered_s > self.recovery_s + SLACK_S:
            failed = Counter(
                _failure(call, ended_s) for call in callers.calls if call.failed and call.began_s > ended_s
            )
            found.append(f"a call still failed {recovered_s:.2f} s after the fault had ended: {dict(failed)}")
        if self.away and 200 in watch.readiness(began_s + self.noticed_s, over_s - 1.0):
            found.append("ready while the database was away")
        ready_s = ended_s + max(self.recovery_s, self.readiness_s) + SLACK_S
        late_s = [look.began_s - ended_s for look in watch.unready() if look.began_s >= ready_s]
        if late_s:
            found.append(
                f"not ready {late_s[0]:.1f} to {late_s[-1]:.1f} s after the fault had ended ({len(late_s)} times)"
            )
        if self.bites and not any(call.failed and began_s <= call.ended_s for call in callers.calls):
            found.append("the fault did nothing")
        assert not found, "\n".join([f"{self.name}: {len(found)} problems", *found[:PROBLEMS_SHOWN], str(ROWS[-1])])
        self.tells(callers, (began_s, ended_s))

    def _few_late(self, calls: list[Call], ended_s: float) -> list[Call]:
        """Return the failures after all calls must succeed, or none if they are too many; report each."""
        after = [call for call in calls if call.began_s > ended_s + self.recovery_s + SLACK_S]
        late = [call for call in after if call.failed]
        if len(late) > self.late_max * len(after):
            return []
        for call in late:
            code, after_s = call.response and call.response.code, call.began_s - ended_s
            NOTES.append(f"{self.name}: one of {len(after)} later calls got {code}, {after_s:.1f} s after")
        return late


def _failure(call, since_s):
    """Return what a call got that failed, and in which second."""
    return int(call.began_s - since_s), call.response and (call.response.code, call.response.details.get("reason"))


def recovery_s(calls, since_s):
    """Return how long it took until a call succeeded, and until no call failed any more that was made after that."""
    first_s = min((call.ended_s for call in calls if call.succeeded and call.ended_s > since_s), default=float("inf"))
    last_s = max((call.began_s for call in calls if call.failed), default=since_s)
    return max(0.0, first_s - since_s, last_s - since_s)


async def cancelled(tasks):
    """Cancel tasks, and wait for their ends."""
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
