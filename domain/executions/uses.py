"""What an execution has used of the grants of its session, as the history keeps it."""

import json
from collections.abc import Mapping
from itertools import accumulate

from domain.egress.traffic import ExecutionTraffic
from domain.executions.means import RunMeans
from domain.json_equality import changed_members
from domain.json_text import JsonText
from domain.scripts.ports import RunState
from domain.scripts.report import ScriptReport

USES_SIZE_MAX = 8192
"""Bytes of what the history keeps of one execution's uses."""
_TRAFFIC_SIZE_MAX = USES_SIZE_MAX - 2304
"""The rest is for other members."""
_KEYS_SIZE_MAX = 768
_FILES_SIZE_MAX = 3072
"""Of given files, and of those that were left; a network has less room then."""
_COMPARED_LENGTH_MAX = 65_536
"""Characters of a state whose keys are compared; to decode both states of the greatest size takes milliseconds."""


def uses_of(report: ScriptReport, means: RunMeans) -> JsonText | None:
    """Return the uses of a run as a JSON object, by the members of its grants; None without any.

    A state counts if the run has saved it. Its keys that have changed are named unless it is large, as many as fit;
    `more` counts the others. Secrets count by the versions that the run got. A network counts if the run had one; of
    its hosts, as many are named as fit. Files count that it was given or has left, as many as fit.
    """
    uses: dict[str, object] = {}
    if report.state is not None and means.state is not None:
        uses["state"] = _saved(means.state, report.state)
    if means.secrets is not None:
        uses["secrets"] = means.secrets.given.versions
    files = _files(report, means)
    if files:
        uses["files"] = files
    if report.traffic is not None:
        uses["network"] = _within(report.traffic, _TRAFFIC_SIZE_MAX - (len(_text(files)) if files else 0))
    return JsonText(_text(uses)) if uses else None


def _saved(state: RunState, after: JsonText) -> Mapping[str, object]:
    """Return the new version of a state, and which keys of its first level have changed."""
    facts: dict[str, object] = {"version": state.version + 1}
    if max(len(state.text), len(after)) > _COMPARED_LENGTH_MAX:
        return facts
    changed = changed_members(state.text, after)
    size = accumulate(len(_text(name)) + 1 for name in changed)
    named = sum(each <= _KEYS_SIZE_MAX for each in size)
    facts["changed"] = changed[:named]
    return facts if named == len(changed) else facts | {"more": len(changed) - named}


def _files(report: ScriptReport, means: RunMeans) -> Mapping[str, object]:
    """Return which files the run was given, and which it has left; `more` counts those that do not fit."""
    given = [] if means.files is None else [each.facts() for each in means.files.given]
    left = [each.facts() for each in report.files or ()]
    found = {name: each for name, each in (("in", given), ("out", left)) if each}
    more = 0
    while found and len(_text(found)) > _FILES_SIZE_MAX:
        max(found.values(), key=len).pop()
        more += 1
    return {**found, "more": more} if more else found


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


def _text(facts: object) -> str:
    return json.dumps(facts, separators=(",", ":"))
