"""Sessions that are made, read and executed for a while, and removed again."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult

import msgspec
from attrs import define, field, frozen

from domain.scripts.language import Language
from entrypoints.cli.benchmark.connection import MeasuredConnection, MeasuredResponse, NoResponse
from entrypoints.cli.benchmark.measurement import Measurement

_TIMEOUT_S = 30.0
_LIFE_S = 600
"""What cannot be removed at the end expires by itself soon after."""

_REMOVERS = 16
_REMOVAL_S = 20.0
"""Connections and seconds for removing sessions, also after Ctrl-C."""

_MADE_MAX = 50_000
_RUN_SESSIONS = 8
"""Sessions that are executed: few, so that each keeps its warm worker on a small host too."""

_FAILURES_MAX = 50
"""So many failures in a row of one caller, and its phase is over for it."""

_SCRIPTS = {Language.PYTHON: "result = params['n'] + 1", Language.NODEJS: "return event.params.n + 1;"}

Call = Callable[[MeasuredConnection], Awaitable[MeasuredResponse]]
Progress = Callable[[str], None]


class CannotMeasure(Exception):
    """The service is not there, or refuses what the benchmark needs; the text says why."""


@frozen
class Plan:
    """Where, as whom, for how many seconds each kind of call, and over how many connections."""

    url: SplitResult
    token: str | None = field(repr=False)
    seconds: float
    connections: int
    languages: Sequence[Language]


@define(eq=False)
class Benchmark:
    """Measures one kind of call after the other; every session that it makes is closed at the end."""

    plan: Plan
    progress: Progress
    _made: dict[Language, list[str]] = field(factory=dict, init=False)
    _connections: list[MeasuredConnection] = field(factory=list, init=False)

    async def run(self) -> Sequence[Measurement]:
        """Measure; raises CannotMeasure when nothing can be."""
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
                self._made[language] = [await self._session(language) for _ in range(_RUN_SESSIONS)]
        except NoResponse as error:
            raise CannotMeasure(str(error)) from error

    async def _session(self, language: Language) -> str:
        answer = await _initialize(self._connections[0], language)
        if answer.status != HTTPStatus.OK:
            raise CannotMeasure(f"initialize in {language} was answered {answer.status}: {_told(answer)}")
        return str(answer.document["request_id"])

    async def _initialize(self, language: Language) -> Measurement:
        made = self._made[language]

        async def call(connection: MeasuredConnection) -> MeasuredResponse:
            answer = await _initialize(connection, language)
            if answer.status == HTTPStatus.OK:
                made.append(str(answer.document["request_id"]))
            return answer

        return await self._measure("initialize", call, lambda: len(made) < _MADE_MAX)

    async def _get(self) -> Measurement:
        ids = itertools.cycle([each for made in self._made.values() for each in made])
        return await self._measure("get", lambda connection: connection.send("GET", f"/api/v1/sessions/{next(ids)}"))

    async def _execute(self, language: Language) -> Measurement:
        ids, numbers = itertools.cycle(self._made[language][:_RUN_SESSIONS]), itertools.count()

        async def call(connection: MeasuredConnection) -> MeasuredResponse:
            body = msgspec.json.encode({"params": {"n": next(numbers)}})
            return await connection.send("POST", f"/api/v1/execute/{next(ids)}", body)

        return await self._measure(f"execute {language}", call)

    async def _measure(self, name: str, call: Call, goes_on: Callable[[], bool] = lambda: True) -> Measurement:
        self.progress(name)
        measurement, started_s = Measurement(name), time.monotonic()
        ends_s = started_s + self.plan.seconds
        callers = [_caller(each, call, measurement, ends_s, goes_on) for each in self._connections]
        await asyncio.gather(*callers)
        measurement.elapsed_s = time.monotonic() - started_s
        return measurement

    async def _remove(self) -> None:
        """Close the sessions, over connections of their own: those of the callers may be anyhow."""
        for connection in self._connections:
            await connection.close()
        ids = [each for made in self._made.values() for each in made]
        if ids:
            self.progress("closing sessions")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REMOVAL_S):
                    await asyncio.gather(*(self._remover(iter(ids[n::_REMOVERS])) for n in range(_REMOVERS)))

    async def _remover(self, ids: Iterator[str]) -> None:
        with contextlib.suppress(NoResponse):  # they expire by themselves
            connection = await MeasuredConnection.to(self.plan.url, self.plan.token, _TIMEOUT_S)
            try:
                for each in ids:
                    await connection.send("DELETE", f"/api/v1/sessions/{each}")
            finally:
                await connection.close()


async def _caller(
    connection: MeasuredConnection, call: Call, measurement: Measurement, ends_s: float, goes_on: Callable[[], bool]
) -> None:
    """Call again and again until the time is over, or too many calls in a row have failed."""
    failed = 0
    while failed < _FAILURES_MAX and goes_on() and (started_s := time.monotonic()) < ends_s:
        try:
            answer = await call(connection)
        except NoResponse as error:
            measurement.failures[str(error)] += 1
            return
        if answer.status == HTTPStatus.OK:
            measurement.durations_s.append(time.monotonic() - started_s)
            failed = 0
        else:
            measurement.failures[f"{answer.status} {_code(answer)}"] += 1
            failed += 1


async def _initialize(connection: MeasuredConnection, language: Language) -> MeasuredResponse:
    body = msgspec.json.encode({"script_content": _SCRIPTS[language], "ttl_seconds": _LIFE_S})
    return await connection.send("POST", "/api/v1/initialize", body, [f"Language-Title: {language}-bench"])


def _code(answer: MeasuredResponse) -> str:
    return str(_error(answer).get("code", ""))


def _told(answer: MeasuredResponse) -> str:
    return str(_error(answer).get("message", "it does not say why"))


def _error(answer: MeasuredResponse) -> dict[str, Any]:
    error = answer.document.get("error")
    return error if isinstance(error, dict) else {}
