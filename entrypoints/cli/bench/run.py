"""The benchmark: sessions are initialized, read and executed for a while, and closed again."""

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult

import msgspec
from attrs import define, field, frozen

from domain.scripts.language import Language
from entrypoints.cli.bench.connection import MeasuredConnection, MeasuredResponse, NoResponse

_TIMEOUT_S = 30.0
_TTL_S = 600
"""Sessions that cannot be closed at the end expire soon."""

_REMOVERS = 16
_REMOVAL_S = 20.0
"""Connections and seconds for closing sessions, also after Ctrl-C."""

_SESSIONS_MAX = 50_000
RUN_SESSIONS = 8
"""Sessions that are executed: few, so that each keeps its warm worker even on a small host."""

_FAILURES_MAX = 50
"""After this many failures in a row a caller ends its phase."""

_SCRIPTS = {Language.PYTHON: "result = params['n'] + 1", Language.NODEJS: "return event.params.n + 1;"}

Call = Callable[[MeasuredConnection], Awaitable[MeasuredResponse]]
Progress = Callable[[str], None]


@define
class Measurement:
    """Calls of one kind: the seconds that each successful call took, and the number of failures by reason."""

    name: str
    elapsed_s: float = 0.0
    durations_s: list[float] = field(factory=list)
    failures: Counter[str] = field(factory=Counter)

    @property
    def rate(self) -> float:
        """Successful calls per second."""
        return len(self.durations_s) / self.elapsed_s if self.elapsed_s else 0.0

    def percentile_ms(self, share: float) -> float | None:
        """Return the time within which this share of the successful calls ended; None if there are none."""
        if not self.durations_s:
            return None
        return _nearest(sorted(self.durations_s), share) * 1000


class CannotMeasure(Exception):
    """The service is not reachable, or rejects what the benchmark needs; the text says why."""


@frozen
class Plan:
    """The service, the credential, the seconds for each kind of call, and the number of connections."""

    url: SplitResult
    token: str | None = field(repr=False)
    seconds: float
    connections: int
    languages: Sequence[Language]


@define(eq=False)
class Benchmark:
    """Measures one kind of call after the other, and closes all of its sessions at the end."""

    plan: Plan
    progress: Progress
    _sessions: dict[Language, list[str]] = field(factory=dict, init=False)
    _connections: list[MeasuredConnection] = field(factory=list, init=False)

    async def run(self) -> Sequence[Measurement]:
        """Run all measurements; raises CannotMeasure if there is nothing to measure."""
        try:
            await self._connect()
            found = [await self._initialize(self.plan.languages[0]), await self._get()]
            return [*found, *[await self._execute(language) for language in self.plan.languages]]
        finally:
            await self._remove()

    async def _connect(self) -> None:
        plan = self.plan
        try:
            for _ in range(plan.connections):
                self._connections.append(await MeasuredConnection.to(plan.url, plan.token, _TIMEOUT_S))
            for language in plan.languages:
                self._sessions[language] = [await self._session(language) for _ in range(RUN_SESSIONS)]
        except NoResponse as error:
            raise CannotMeasure(str(error)) from error

    async def _session(self, language: Language) -> str:
        response = await _initialize(self._connections[0], language)
        if response.status != HTTPStatus.OK:
            raise CannotMeasure(f"initialize in {language} got status {response.status}: {_message(response)}")
        return str(response.document["request_id"])

    async def _initialize(self, language: Language) -> Measurement:
        sessions = self._sessions[language]

        async def call(connection: MeasuredConnection) -> MeasuredResponse:
            response = await _initialize(connection, language)
            if response.status == HTTPStatus.OK:
                sessions.append(str(response.document["request_id"]))
            return response

        return await self._measure("initialize", call, lambda: len(sessions) < _SESSIONS_MAX)

    async def _get(self) -> Measurement:
        ids = itertools.cycle([each for sessions in self._sessions.values() for each in sessions])
        return await self._measure("get", lambda connection: connection.send("GET", f"/api/v1/sessions/{next(ids)}"))

    async def _execute(self, language: Language) -> Measurement:
        ids, numbers = itertools.cycle(self._sessions[language][:RUN_SESSIONS]), itertools.count()

        async def call(connection: MeasuredConnection) -> MeasuredResponse:
            body = msgspec.json.encode({"params": {"n": next(numbers)}})
            return await connection.send("POST", f"/api/v1/execute/{next(ids)}", body)

        return await self._measure(f"execute {language}", call)

    async def _measure(self, name: str, call: Call, continues: Callable[[], bool] = lambda: True) -> Measurement:
        self.progress(name)
        measurement, started_s = Measurement(name), time.monotonic()
        ends_s = started_s + self.plan.seconds
        callers = [_caller(each, call, measurement, ends_s, continues) for each in self._connections]
        await asyncio.gather(*callers)
        measurement.elapsed_s = time.monotonic() - started_s
        return measurement

    async def _remove(self) -> None:
        """Close the sessions over new connections: those of the callers may be in the middle of a response."""
        for connection in self._connections:
            await connection.close()
        ids = [each for sessions in self._sessions.values() for each in sessions]
        if ids:
            self.progress("closing sessions")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REMOVAL_S):
                    await asyncio.gather(*(self._remover(iter(ids[n::_REMOVERS])) for n in range(_REMOVERS)))

    async def _remover(self, ids: Iterator[str]) -> None:
        with contextlib.suppress(NoResponse):  # the sessions expire anyway
            connection = await MeasuredConnection.to(self.plan.url, self.plan.token, _TIMEOUT_S)
            try:
                for each in ids:
                    await connection.send("DELETE", f"/api/v1/sessions/{each}")
            finally:
                await connection.close()


async def _caller(
    connection: MeasuredConnection, call: Call, measurement: Measurement, ends_s: float, continues: Callable[[], bool]
) -> None:
    """Call repeatedly until the time is over, or too many calls in a row have failed."""
    failed = 0
    while failed < _FAILURES_MAX and continues() and (started_s := time.monotonic()) < ends_s:
        try:
            response = await call(connection)
        except NoResponse as error:
            measurement.failures[str(error)] += 1
            return
        if response.status == HTTPStatus.OK:
            measurement.durations_s.append(time.monotonic() - started_s)
            failed = 0
        else:
            measurement.failures[f"{response.status} {_code(response)}"] += 1
            failed += 1


async def _initialize(connection: MeasuredConnection, language: Language) -> MeasuredResponse:
    body = msgspec.json.encode({"script_content": _SCRIPTS[language], "ttl_seconds": _TTL_S})
    return await connection.send("POST", "/api/v1/initialize", body, [f"Language-Title: {language}-bench"])


def _code(response: MeasuredResponse) -> str:
    return str(_error(response).get("code", ""))


def _message(response: MeasuredResponse) -> str:
    return str(_error(response).get("message", "the response has no message"))


def _error(response: MeasuredResponse) -> dict[str, Any]:
    error = response.document.get("error")
    return error if isinstance(error, dict) else {}


def _nearest(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
