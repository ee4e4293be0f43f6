"""What an execution has used of the grants of its session, as the history keeps it."""

import json

from domain.json_text import JsonText
from domain.scripts.ports import RunState
from domain.scripts.report import ScriptReport

USES_SIZE_MAX = 8192
"""Bytes of what the history keeps of one execution's uses."""


def uses_of(report: ScriptReport, state: RunState) -> JsonText | None:
    """Return the uses of a run as a JSON object, by the members of its grants; None without any.

    A state counts if the run has saved it.
    """
    if report.state is None:
        return None
    return JsonText(json.dumps({"state": {"version": state.version + 1}}, separators=(",", ":")))
