"""What an execution has used of the grants of its session, as the history keeps it."""

import json
from collections.abc import Mapping

from domain.egress.traffic import ExecutionTraffic
from domain.json_text import JsonText
from domain.scripts.ports import RunState
from domain.scripts.report import ScriptReport

USES_SIZE_MAX = 8192
"""Bytes of what the history keeps of one execution's uses."""
_TRAFFIC_SIZE_MAX = USES_SIZE_MAX - 1024
"""The rest is for other members."""


def uses_of(report: ScriptReport, state: RunState | None) -> JsonText | None:
    """Return the uses of a run as a JSON object, by the members of its grants; None without any.

    A state counts if the run has saved it. A network counts if the run had one; of its hosts, as many are named as fit.
    """
    uses: dict[str, object] = {}
    if report.state is not None and state is not None:
        uses["state"] = {"version": state.version + 1}
    if report.traffic is not None:
        uses["network"] = _within(report.traffic, _TRAFFIC_SIZE_MAX)
    return JsonText(_text(uses)) if uses else None


def _within(traffic: ExecutionTraffic, size_max: int) -> Mapping[str, object]:
    """Return the facts of the traffic, with as many of the first refusals and hosts as fit."""
    hosts, refusals = list(traffic.hosts), list(traffic.refusals)
    while True:
        facts: dict[str, object] = {"hosts": [host.facts() for host in hosts]}
        if refusals:
            facts["refused"] = [refusal.facts() for refusal in refusals]
        if traffic.is_lost:
            facts["lost"] = True
        if len(_text(facts)) <= size_max:
            return facts
        (refusals or hosts).pop()


def _text(facts: Mapping[str, object]) -> str:
    return json.dumps(facts, separators=(",", ":"))
