"""What the process can tell about its parts."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

Probe = Callable[[], Awaitable[Mapping[str, object]]]
"""Asks one part how it is: facts for people, with `status` "ok", "degraded" or "failing"."""

_RANKS = {"ok": 0, "degraded": 1, "failing": 2}


class HealthChecks(Protocol):
    """The parts of the service, by name; a dot in a name makes a group, as in `runtimes.python`.

    A probe that raises, or does not answer in time, counts as failing; it is never asked twice at once.
    """

    @property
    def version(self) -> str:
        """The version of the service."""
        ...

    @property
    def required(self) -> Mapping[str, Probe]:
        """What must not be failing for the service to take work: database, migrations, clock."""
        ...

    @property
    def components(self) -> Mapping[str, Probe]:
        """What the health summary shows."""
        ...


def worst(statuses: Mapping[str, str]) -> str:
    """Return the worst of some statuses; "ok" when there are none."""
    return max(statuses.values(), key=_RANKS.__getitem__, default="ok")


def status_of(facts: Mapping[str, object]) -> str:
    """Return the status among the facts of a part; what says nothing that is known is failing."""
    status = facts.get("status")
    return status if isinstance(status, str) and status in _RANKS else "failing"


class HealthInquiry:
    """Asks many probes at once, within a time that holds whatever they do."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._running: dict[Probe, asyncio.Task[Mapping[str, object]]] = {}

    async def ask(self, probes: Mapping[str, Probe]) -> dict[str, Mapping[str, object]]:
        """Return the facts of each part. A probe still busy since an earlier question is waited for, not repeated."""
        tasks = {name: self._task(probe) for name, probe in probes.items()}
        if tasks:
            await asyncio.wait(tasks.values(), timeout=self._timeout_s)
        return {name: self._facts(task) for name, task in tasks.items()}

    def _task(self, probe: Probe) -> asyncio.Task[Mapping[str, object]]:
        task = self._running.get(probe)
        if task is None:
            task = self._running[probe] = asyncio.create_task(_asked(probe))
            task.add_done_callback(lambda _: self._running.pop(probe))
        return task

    def _facts(self, task: asyncio.Task[Mapping[str, object]]) -> Mapping[str, object]:
        if not task.done():
            return {"status": "failing", "reason": f"did not answer within {self._timeout_s:g} s"}
        return task.result()


async def _asked(probe: Probe) -> Mapping[str, object]:
    try:
        return await probe()
    except asyncio.CancelledError:
        return {"status": "failing", "reason": "was stopped"}
    except Exception as error:  # noqa: BLE001  # a part that breaks is what health tells about
        return {"status": "failing", "reason": type(error).__name__}
