"""Endpoints that tell about the process."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from entrypoints.http.health_checks import HealthChecks, HealthInquiry, status_of, worst
from entrypoints.http.middleware.caller import told_all
from entrypoints.http.middleware.in_flight_limiter import InFlightLimiter
from entrypoints.http.request import Request
from entrypoints.http.response import Response, json_answer


class HealthEndpoints:
    """Answers whatever state the service is in, within the inquiry's time."""

    def __init__(self, operations: HealthChecks, inquiry: HealthInquiry, gate: InFlightLimiter) -> None:
        self._operations = operations
        self._inquiry = inquiry
        self._gate = gate

    async def livez(self, _request: Request) -> Response:
        """Tell that the process runs."""
        return json_answer({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """Tell whether work should be sent here: 200 or 503; why is told to those who may see details."""
        components = await self._inquiry.ask(self._operations.required)
        failing = any(status_of(facts) == "failing" for facts in components.values())
        ready = not failing and not self._gate.leaving
        payload: dict[str, Any] = {"status": "ready" if ready else "not_ready", "draining": self._gate.leaving}
        if told_all(request):
            payload |= {"components": _grouped(components)}
        return json_answer(payload, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)

    async def health(self, request: Request) -> Response:
        """Describe all parts for people: failing where a required part is, degraded where another is not well.

        Those who may not see details are told the status alone.
        """
        probes = {**self._operations.required, **self._operations.components}
        components = await self._inquiry.ask(probes)
        if not told_all(request):
            return json_answer({"status": self._summary(components)})
        payload = {
            "status": self._summary(components),
            "version": self._operations.version,
            "draining": self._gate.leaving,
            "components": _grouped(components),
        }
        return json_answer(payload)

    def _summary(self, components: Mapping[str, Mapping[str, object]]) -> str:
        statuses = {name: status_of(facts) for name, facts in components.items()}
        required = self._operations.required
        return worst(
            {name: status if status == "ok" or name in required else "degraded" for name, status in statuses.items()}
        )


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
