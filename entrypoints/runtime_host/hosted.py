"""The executions at a runtime host: each starts once, and can be cancelled."""

import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Protocol, cast
from uuid import UUID

from attrs import define, field

from domain.errors import Overloaded, RuntimeUnavailable, ShuttingDown
from domain.identity import ANONYMOUS
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRun, ScriptRunner, Worker
from entrypoints.http.pipeline import InFlightLimiter
from entrypoints.http.request import ClientDisconnected
from entrypoints.http.response import Response
from entrypoints.runtime_host.errors import DeadlinePassed, ExecutionSeen
from entrypoints.runtime_host.executions import SeenExecutions, StartDeadline
from entrypoints.runtime_host.messages import write_report
from entrypoints.runtime_host.options import RuntimeHostOptions

NAME = "the runtime host"

_NOTHING_STARTED = (DeadlinePassed, Overloaded, RuntimeUnavailable, ShuttingDown, ClientDisconnected)
_COPIES_S = 60.0
"""How long after the deadline of an execution a copy of its request is still rejected.

A copy that a proxy delayed arrives with the time that was left when it was sent.
"""


class UntilWithdrawn(Protocol):
    """Awaits a worker for a controller; raises ClientDisconnected if the controller withdraws the execution."""

    def __call__(self, call: Coroutine[Any, Any, Worker]) -> Coroutine[Any, Any, Worker]:
        """Return the call, as long as the controller wants it."""
        ...


def _nothing() -> None:
    return


@define(eq=False)
class HostedExecutions:
    """Runs executions; those that were started end by themselves, whether their controller stays or not.

    `running` and `queued` are the executions of each language. `on_change` is called when they have changed.
    """

    _runner: ScriptRunner
    _options: RuntimeHostOptions
    _monotonic: Callable[[], float] = time.monotonic
    on_change: Callable[[], None] = _nothing
    running: Counter[Language] = field(factory=Counter, init=False)
    queued: Counter[Language] = field(factory=Counter, init=False)
    _seen: SeenExecutions = field(init=False)
    _cancelled: SeenExecutions = field(init=False)
    _workers: dict[UUID, Worker] = field(factory=dict, init=False)
    _limiter: InFlightLimiter = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._seen = SeenExecutions(self._options.executions_max, self._monotonic)
        self._cancelled = SeenExecutions(self._options.executions_max, self._monotonic)
        self._limiter = InFlightLimiter(self._options.requests_max, NAME)

    @property
    def closed(self) -> bool:
        """Whether new executions are rejected."""
        return self._limiter.closed

    async def drain(self, timeout_s: float) -> int:
        """Reject new executions, wait for those that are queued or running, and return how many are left."""
        return await self._limiter.drain(timeout_s)

    async def unavailable(self) -> Sequence[str]:
        """Return the languages that the runner cannot run now."""
        health = await self._runner.health()
        states = cast("Mapping[str, Mapping[str, object]]", health.get("languages", {}))
        whole = {"status": "ok" if health["status"] == "degraded" else health["status"]}
        return [str(each) for each in Language if states.get(each, whole)["status"] != "ok"]

    async def respond(
        self, run: ScriptRun, deadline: StartDeadline, until_withdrawn: UntilWithdrawn, *, is_streamed: bool
    ) -> Response:
        """Return the response to an execution; raises DomainError if nothing was started, or its end is unknown.

        A controller sends an execution on one stream only, and a stream brings each frame once. So after its end one
        that `is_streamed` leaves its place in the memory to others.
        """
        self._seen.add(run.execution_id, deadline.time_left_ms / 1000 + _COPIES_S)
        try:
            return await self._run(run, deadline, until_withdrawn)
        except _NOTHING_STARTED:
            self._seen.remove(run.execution_id)
            raise
        finally:
            if is_streamed:
                self._seen.spare(run.execution_id)

    async def cancel(self, execution_id: UUID) -> None:
        """Stop an execution. One that is queued, or arrives within a minute, starts nothing and reports the same."""
        with suppress(ExecutionSeen):
            self._cancelled.add(execution_id, _COPIES_S)
        worker = self._workers.get(execution_id)
        if worker is not None:
            await worker.stop()

    async def _run(self, run: ScriptRun, deadline: StartDeadline, until_withdrawn: UntilWithdrawn) -> Response:
        self._limiter.enter(ANONYMOUS)
        try:
            with _Counted(self.queued, run.language, self.on_change):
                worker = await until_withdrawn(self._runner.acquire(run))
            try:
                return await self._run_on(worker, run, deadline)
            finally:
                await worker.release()
        finally:
            self._limiter.exit(ANONYMOUS)

    async def _run_on(self, worker: Worker, run: ScriptRun, deadline: StartDeadline) -> Response:
        deadline.require_left()
        self._workers[run.execution_id] = worker
        try:
            if run.execution_id in self._cancelled:
                await worker.stop()
            with _Counted(self.running, run.language, self.on_change):
                return Response(HTTPStatus.OK, write_report(await worker.run()))
        finally:
            del self._workers[run.execution_id]


class _Counted:
    """Counts one execution of a language for a time; a generator would take five times as long."""

    __slots__ = ("_counts", "_language", "_on_change")

    def __init__(self, counts: Counter[Language], language: Language, on_change: Callable[[], None]) -> None:
        self._counts, self._language, self._on_change = counts, language, on_change

    def __enter__(self) -> None:
        self._counts[self._language] += 1
        self._on_change()

    def __exit__(self, *_: object) -> None:
        self._counts[self._language] -= 1
        self._on_change()
