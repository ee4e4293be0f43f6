"""Endpoints that describe the process: health checks and metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from attrs import define

from entrypoints.http.pipeline import InFlightLimiter
from entrypoints.http.request import Request
from entrypoints.http.response import Response, json_response
from entrypoints.telemetry.metrics.scrape import Scrape

Probe = Callable[[], Awaitable[Mapping[str, object]]]
"""Returns the health of one component: facts for people, with `status` "ok", "degraded" or "failing"."""

_RANKS = {"ok": 0, "degraded": 1, "failing": 2}


@define(eq=False)
class HealthChecks:
    """The version of the service, and its probes by component; a dot in a name makes a group, as in `runtimes.python`.

    The service gets no requests while a probe of `required` fails. A probe that raises, or does not return in time,
    counts as failing. It is never called twice at once.
    """

    version: str
    required: Mapping[str, Probe]
    components: Mapping[str, Probe]
    """Further components that `/health` shows."""


class ProbeRunner:
    """Calls many probes at once, and waits `timeout_s` for them at most."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._running: dict[Probe, asyncio.Task[Mapping[str, object]]] = {}

    async def run(self, probes: Mapping[str, Probe]) -> dict[str, Mapping[str, object]]:
        """Return the facts of each component. A probe that still runs since an earlier call is not called again."""
        tasks = {name: self._task(probe) for name, probe in probes.items()}
        if tasks:
            await asyncio.wait(tasks.values(), timeout=self._timeout_s)
        return {name: self._facts(task) for name, task in tasks.items()}

    def _task(self, probe: Probe) -> asyncio.Task[Mapping[str, object]]:
        task = self._running.get(probe)
        if task is None:
            task = self._running[probe] = asyncio.create_task(_probed(probe))
            task.add_done_callback(lambda _: self._running.pop(probe))
        return task

    def _facts(self, task: asyncio.Task[Mapping[str, object]]) -> Mapping[str, object]:
        if not task.done():
            return {"status": "failing", "reason": f"did not respond within {self._timeout_s:g} s"}
        return task.result()


async def _probed(probe: Probe) -> Mapping[str, object]:
    try:
        return await probe()
    except asyncio.CancelledError:
        return {"status": "failing", "reason": "was stopped"}
    except Exception as error:  # noqa: BLE001  # health reports components that break
        return {"status": "failing", "reason": type(error).__name__}


class HealthEndpoints:
    """Respond in every state of the service, within the time of the probes."""

    def __init__(self, checks: HealthChecks, probes: ProbeRunner, limiter: InFlightLimiter) -> None:
        self._checks = checks
        self._probes = probes
        self._limiter = limiter

    async def livez(self, _request: Request) -> Response:
        """Report that the process runs."""
        return json_response({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """Report whether the process should get requests: 200, or 503 with the reason. Only admins see components."""
        components = await self._probes.run(self._checks.required)
        failing = any(_status_of(facts) == "failing" for facts in components.values())
        ready = not failing and not self._limiter.leaving
        payload: dict[str, Any] = {"status": "ready" if ready else "not_ready", "draining": self._limiter.leaving}
        if failing:
            payload["reason"] = _reason_of(components)
        if request.is_admin:
            payload |= {"components": _grouped(components)}
        return json_response(payload, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)

    async def health(self, request: Request) -> Response:
        """Describe all components: failing if a required one fails, degraded if another one is not ok.

        Callers that are not admins see the status only.
        """
        components = await self._components()
        if not request.is_admin:
            return json_response({"status": self._summary(components)})
        payload = {
            "status": self._summary(components),
            "version": self._checks.version,
            "draining": self._limiter.leaving,
            "components": _grouped(components),
        }
        return json_response(payload)

    async def summary(self) -> Mapping[str, str]:
        """Return the status of the service and its version."""
        return {"status": self._summary(await self._components()), "version": self._checks.version}

    async def _components(self) -> Mapping[str, Mapping[str, object]]:
        return await self._probes.run({**self._checks.required, **self._checks.components})

    def _summary(self, components: Mapping[str, Mapping[str, object]]) -> str:
        statuses = {name: _status_of(facts) for name, facts in components.items()}
        required = self._checks.required
        ranked = (status if status == "ok" or name in required else "degraded" for name, status in statuses.items())
        return max(ranked, key=_RANKS.__getitem__, default="ok")


class MetricsEndpoint:
    """Exposes the metrics of every process of the service."""

    def __init__(self, scrape: Scrape) -> None:
        self._scrape = scrape

    async def metrics(self, request: Request) -> Response:
        """Return all metrics, in the format that `Accept` names."""
        exposition = await self._scrape.exposition(request.header(b"accept") or "")
        return Response(200, exposition.body, content_type=exposition.content_type.encode())


def _status_of(facts: Mapping[str, object]) -> str:
    """Return the status of a component; a missing or unknown status is failing."""
    status = facts.get("status")
    return status if isinstance(status, str) and status in _RANKS else "failing"


def _reason_of(components: Mapping[str, Mapping[str, object]]) -> str:
    """Return why the first failing component fails."""
    name, facts = next((name, facts) for name, facts in components.items() if _status_of(facts) == "failing")
    return str(facts.get("reason", f"{name} fails"))


def _grouped(components: Mapping[str, Mapping[str, object]]) -> dict[str, Any]:
    """Return the facts with `group.name` nested as {group: {name: ...}}."""
    grouped: dict[str, Any] = {}
    for name, facts in components.items():
        group, dot, member = name.partition(".")
        if dot:
            grouped.setdefault(group, {})[member] = facts
        else:
            grouped[name] = facts
    return grouped
