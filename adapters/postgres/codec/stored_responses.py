"""What a caller was told, as it is kept under an idempotency key."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import asdict, fields

from domain.identity import SessionRef
from domain.json_text import JsonText
from domain.scripts.language import LanguageTitle
from domain.scripts.report import Failure, FailureCode, ScriptReport
from domain.sessions.initialized import Initialized

# ASCII holds what a script may print and PostgreSQL's text cannot: NUL, and halves of surrogate pairs.
_encode = json.JSONEncoder(separators=(",", ":")).encode


def report_text(report: ScriptReport) -> str:
    """Return a report as JSON, without its result."""
    facts = asdict(report)
    del facts["result"]
    return _encode(facts)


def report_of(text: str, result: str | None) -> ScriptReport:
    """Return the report again; facts that another release wrote and this one does not know are left out."""
    facts = json.loads(text)
    failure = facts.pop("failure")
    return ScriptReport(
        result=None if result is None else JsonText(result),
        failure=None if failure is None else _failure_of(failure),
        **_known(ScriptReport, facts),
    )


def initialized_text(made: Initialized) -> str:
    """Return as JSON what is told of a new session and is not in the row of its key."""
    facts = {
        "expires_at": made.expires_at.isoformat(),
        "script_hash": made.script_hash,
        "syntax_checked": made.syntax_checked,
    }
    return _encode(facts)


def initialized_of(text: str, ref: SessionRef, title: LanguageTitle) -> Initialized:
    """Return what is told of a new session again."""
    facts = json.loads(text)
    expires_at = datetime.fromisoformat(facts["expires_at"])
    return Initialized(ref, title, expires_at, facts["script_hash"], facts["syntax_checked"])


def _failure_of(facts: Mapping[str, Any]) -> Failure:
    return Failure(**{**_known(Failure, facts), "code": FailureCode(facts["code"])})


def _known(kind: type[Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    names = {member.name for member in fields(kind)}
    return {name: fact for name, fact in facts.items() if name in names}
