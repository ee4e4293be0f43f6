"""Values and entities as parameters of statements and as rows.

The columns of a batch are array literals. For an array the driver would choose a type by its values (small numbers,
large numbers, only nulls), and for the server each choice would be a statement of its own. A literal has one type, which
the statement states.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.executions.execution import Execution, Payload
from domain.identity import Owner, SessionRef
from domain.json_text import JsonText
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.limits import Isolation, Limits
from domain.scripts.report import Outcome
from domain.scripts.script import Script
from domain.sessions.session import Renewal, Session

Row = Sequence[Any]

_LANGUAGES = {str(language): language for language in Language}
_ISOLATIONS = {str(isolation): isolation for isolation in Isolation}
_RENEWALS = {str(renewal): renewal for renewal in Renewal}
_MICROSECOND = timedelta(microseconds=1)


def uuids(values: Iterable[UUID]) -> str:
    """Return a literal of `uuid[]`."""
    return "{" + ",".join([value.hex for value in values]) + "}"


def texts(values: Iterable[str | None]) -> str:
    """Return a literal of `text[]`."""
    return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in values]) + "}"


def numbers(values: Iterable[float | None]) -> str:
    """Return a literal of an array of integers or of double precision."""
    return "{" + ",".join(["NULL" if value is None else repr(value) for value in values]) + "}"


def booleans(values: Iterable[bool | None]) -> str:
    """Return a literal of `boolean[]`."""
    return "{" + ",".join(["NULL" if value is None else "t" if value else "f" for value in values]) + "}"


def instants(values: Iterable[datetime | None]) -> str:
    """Return a literal of `timestamptz[]`."""
    return "{" + ",".join(["NULL" if value is None else f'"{value.isoformat()}"' for value in values]) + "}"


def intervals(values: Iterable[timedelta]) -> str:
    """Return a literal of `interval[]`, exact to the microsecond."""
    return "{" + ",".join([f'"{value // _MICROSECOND} us"' for value in values]) + "}"


def ref_columns(refs: Sequence[SessionRef]) -> dict[str, object]:
    """Return the parameters that name sessions."""
    return {
        "request_ids": uuids(ref.session_id for ref in refs),
        "owners": texts(ref.owner for ref in refs),
    }


def new_session_columns(sessions: Sequence[Session], scripts: Sequence[Script]) -> dict[str, object]:
    """Return the parameters that insert sessions with their scripts."""
    return {
        **ref_columns([session.ref for session in sessions]),
        "languages": texts(session.language_title.language for session in sessions),
        "titles": texts(session.language_title.title for session in sessions),
        "script_hashes": texts(session.script_hash for session in sessions),
        "timeouts_ms": numbers(session.limits.timeout_ms for session in sessions),
        "memories_mb": numbers(session.limits.memory_mb for session in sessions),
        "isolations": texts(session.limits.isolation for session in sessions),
        "renewals": texts(session.renewal for session in sessions),
        "ttls_seconds": numbers(session.ttl_seconds for session in sessions),
        "expiries": instants(session.expires_at for session in sessions),
        "expiries_max": instants(session.expires_max_at for session in sessions),
        "contexts": texts(session.context for session in sessions),
        "metadatas": texts(session.metadata for session in sessions),
        "scripts": texts(script.source for script in scripts),
        "function_versions": numbers(session.function_version for session in sessions),
    }


def session_of(row: Row) -> Session:
    """Return the session in the last columns of a row, which all statements have in the same order."""
    (
        session_id,
        owner,
        language,
        title,
        script_hash,
        context,
        metadata,
        timeout_ms,
        memory_mb,
        isolation,
        renewal,
        *lifetime,
    ) = row
    return Session(
        SessionRef(Owner(owner), session_id),
        LanguageTitle(_LANGUAGES[language], title),
        script_hash,
        JsonText(context),
        JsonText(metadata),
        Limits(timeout_ms, memory_mb, _ISOLATIONS[isolation]),
        _RENEWALS[renewal],
        *lifetime,
    )


def history_columns(executions: Sequence[Execution]) -> dict[str, object]:
    """Return the parameters that write rows of the history."""
    return {
        "outcomes": texts(execution.outcome for execution in executions),
        "execution_times_ms": numbers(execution.execution_time_ms for execution in executions),
        "cpu_times_ms": numbers(execution.cpu_time_ms for execution in executions),
        "memory_usages_bytes": numbers(execution.memory_usage_bytes for execution in executions),
        "cold_starts": booleans(execution.cold_start for execution in executions),
        **_payload_columns("params", "params_lengths", [execution.params for execution in executions]),
        **_payload_columns("results", "results_lengths", [execution.result for execution in executions]),
        **_payload_columns("errors", "errors_lengths", [execution.error for execution in executions]),
        **_payload_columns("stdouts", "stdouts_lengths", [execution.stdout for execution in executions]),
        **_payload_columns("stderrs", "stderrs_lengths", [execution.stderr for execution in executions]),
    }


def execution_of(ref: SessionRef, row: Row) -> Execution:
    """Return the execution in a row of the history."""
    execution_id, outcome, count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, *payloads = row
    payload_texts, lengths = payloads[::2], payloads[1::2]
    return Execution(
        ref,
        execution_id,
        Outcome(outcome),
        count,
        execution_time_ms,
        cpu_time_ms,
        memory_usage_bytes,
        cold_start,
        *(None if text is None else Payload(text, length) for text, length in zip(payload_texts, lengths, strict=True)),
    )


def _payload_columns(text: str, length: str, payloads: Sequence[Payload | None]) -> Mapping[str, object]:
    return {
        text: texts(None if payload is None else payload.text for payload in payloads),
        length: numbers(None if payload is None else payload.length for payload in payloads),
    }


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
