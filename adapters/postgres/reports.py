"""Reports of runs as JSON, as they are stored with the keys of calls."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from attrs import asdict, fields

from domain.egress.traffic import ExecutionTraffic, HostTraffic, Refusal, RefusalReason
from domain.json_text import JsonText
from domain.scripts.collected import CollectedFile
from domain.scripts.dropped import DroppedName
from domain.scripts.report import Failure, FailureCode, ScriptReport

# ASCII can hold what a script may print and PostgreSQL's text cannot: NUL, and halves of surrogate pairs.
_encode = json.JSONEncoder(
    separators=(",", ":"), default=lambda value: str(value) if isinstance(value, UUID) else asdict(value)
).encode


_STORED = [member.name for member in fields(ScriptReport) if member.name != "result"]

_MESSAGE_LENGTH_MAX = 600
"""Of a message to a webhook. A character takes 12 bytes of JSON at most."""


def report_text(report: ScriptReport) -> str:
    """Return a report as JSON, without its result."""
    return _encode({name: getattr(report, name) for name in _STORED})


def error_text(failure: Failure | None) -> str | None:
    """Return a failure as messages to webhooks have it: JSON of at most 8192 bytes; None for a success."""
    if failure is None:
        return None
    return _encode({"code": failure.code, "message": failure.message[:_MESSAGE_LENGTH_MAX]})


def report_of(text: str, result: str | None) -> ScriptReport:
    """Return the report in a JSON text; facts of another release that this one does not know are dropped."""
    facts = json.loads(text)
    failure, traffic, dropped = facts.pop("failure"), facts.pop("traffic", None), facts.pop("dropped", ())
    files = facts.pop("files", None)
    return ScriptReport(
        result=None if result is None else JsonText(result),
        failure=None
        if failure is None
        else Failure(**_known(Failure, failure) | {"code": FailureCode(failure["code"])}),
        traffic=None if traffic is None else _traffic(traffic),
        dropped=tuple(DroppedName(**_known(DroppedName, each)) for each in dropped),
        files=None if files is None else tuple(map(_file, files)),
        **_known(ScriptReport, facts),
    )


def _file(facts: Mapping[str, Any]) -> CollectedFile:
    known = _known(CollectedFile, facts)
    return CollectedFile(**known | {"file_id": UUID(known["file_id"])})


def _traffic(facts: Mapping[str, Any]) -> ExecutionTraffic:
    hosts = tuple(HostTraffic(**_known(HostTraffic, each)) for each in facts["hosts"])
    refusals = tuple(Refusal(each["host"], each["port"], RefusalReason(each["reason"])) for each in facts["refusals"])
    return ExecutionTraffic(hosts, refusals, facts["is_lost"])


def _known(kind: type[Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    names = {member.name for member in fields(kind)}
    return {name: fact for name, fact in facts.items() if name in names}
